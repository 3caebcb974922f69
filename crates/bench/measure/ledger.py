"""Shows that what was acknowledged is there after kill -9: a load with a ledger, a kill, a new start on the same folder, an export,
and yardstick's comparison of the two.

    ledger.py SERVER YARDSTICK PROTOCOL [--seconds 30] [--devices 1000] [--records 20] [--rate 2000]

PROTOCOL is teltonika, wialon, gt06, or all. Printed are the load's result, `check`'s, and what SQL counts. Exit status 1: something
is missing, doubled or wrong. A gt06 frame ends with a heartbeat, which is a record too where it says something: `unexpected`
counts those, and SQL as well.
"""

import json

import common
from common import FIELD_ARGUMENTS, Server, say


def once(given, protocol: str) -> bool:
    with common.work_folder() as name:
        folder = common.pathlib.Path(name)
        data, ledger, export = folder / "data", folder / "ledger", folder / "export.jsonl"
        with Server(given.server, data, [protocol]) as server:
            load = common.yardstick(
                given.yardstick, "load", "--target", server.target, "--protocol", protocol, "--devices", given.devices,
                "--records-per-frame", given.records, "--rate", given.rate, "--duration", given.seconds, "--ledger", ledger,
                limit_s=given.seconds + 150,
            )
            server.kill()
        say(f"{protocol} load  {json.dumps(load)}")
        with Server(given.server, data, [protocol]) as server:
            common.export_records(given.server, data, export)
            check = common.yardstick(
                given.yardstick, "check", "--ledger", ledger, "--records", export, *FIELD_ARGUMENTS, limit_s=600, passes=(0, 1)
            )
            say(f"{protocol} check {json.dumps(check)}")
            say(f"{protocol} sql   {json.dumps(common.counts(given.server, data))}")
            server.stop()
        return check["status"] == 0


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("protocols", metavar="PROTOCOL", type=common.protocols)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--records", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2000)
    given = parser.parse_args()
    return 0 if all([once(given, protocol) for protocol in given.protocols]) else 1


if __name__ == "__main__":
    common.run(main)
