"""Shows that a backup which is made while devices send has everything that was acknowledged before it, once.

    backup.py SERVER YARDSTICK [--devices 1000] [--records 20] [--rate 2000] [--seconds 10]

Devices send for so long. Then others begin, and while they send, the folder is backed up twice: all of it, and what is new. The server is
killed, a server elsewhere is made of the last backup, its journal is verified, and yardstick compares. Exit status 1: something that
was acknowledged before is missing, or anything is there twice or wrong.
"""

import json
import time

import common
from common import FIELD_ARGUMENTS, Server, say

OTHERS = 350000500000000


def backed_up(given, data, place) -> None:
    begun = time.monotonic()
    told = json.loads(common.odograph(given.server, data, "backup", "--to", str(place), "--json"))
    say(f"backup: {time.monotonic() - begun:.1f} s, {json.dumps(told)[:300]}")


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--records", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    load = lambda target, ledger: [
        given.yardstick, "load", "--target", target, "--devices", given.devices, "--records-per-frame", given.records,
        "--rate", given.rate, "--ledger", ledger,
    ]
    with common.work_folder() as name:
        folder = common.pathlib.Path(name)
        data, there, place = folder / "data", folder / "there", folder / "backup"
        before, meanwhile, export = folder / "before", folder / "meanwhile", folder / "export.jsonl"
        with Server(given.server, data) as server:
            command = load(server.target, before) + ["--duration", given.seconds]
            sent = common.yardstick(*command, limit_s=given.seconds + 150)
            say(f"before: {json.dumps(sent)}")
            others = load(server.target, meanwhile) + ["--duration", 600, "--imei-base", OTHERS]
            with common.Process(others, folder / "others.log") as sending:
                acknowledged = lambda: server.metric("odograph_frames_total")
                begun = acknowledged()
                sending.wait_until(lambda: acknowledged() > begun + given.rate, 60)
                backed_up(given, data, place)
                backed_up(given, data, place)
                say(f"meanwhile: {acknowledged() - begun:.0f} messages of others")
                server.kill()
                sending.kill()
        say(common.odograph(given.server, there, "restore", "--from", str(place)).strip()[-300:])
        say(common.odograph(given.server, there, "journal", "verify").strip()[-300:])
        common.export_records(given.server, there, export)
        ours = folder / "ours.jsonl"
        with export.open() as every, ours.open("w") as some:
            some.writelines(line for line in every if f'"{str(OTHERS)[:9]}' not in line)
        check = common.yardstick(
            given.yardstick, "check", "--ledger", before, "--records", ours, *FIELD_ARGUMENTS, limit_s=600, passes=(0, 1)
        )
        say(f"check: {json.dumps(check)}")
        say(f"with those of the others: {json.dumps(common.counts(given.server, there))}")
        return 0 if check["status"] == 0 else 1


if __name__ == "__main__":
    common.run(main)
