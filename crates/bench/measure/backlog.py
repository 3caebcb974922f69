"""Sends what a fleet gathered in three days without a network, and says what history makes of it: once in order, and once, to
another folder, the newest day first.

    backlog.py SERVER [--devices 100] [--days 3] [--every 60] [--frame 60] [--rate 0] [--late-flush TIME]

Each device has a record for each `every` seconds of the last whole days (UTC), and a socket of its own; it sends Teltonika's codec
8, a frame after the other, each when the one before is acknowledged. --rate paces all of them together, in records a second;
without it they send as fast as they are answered. --late-flush is `lake.late_flush_after`; without it the server's own 10 min holds,
and the wait until all is in files may take as long. Printed: the time until all was acknowledged, and until it was in files;
commits of the table by what they did, files added and removed and how many rows these have, from `_delta_log`; and SQL's count.
Exit status 1: that is not what was sent, once.
"""

import asyncio
import collections
import datetime
import json
import time

import common
import trackers
from common import Server, say

ANSWER_S_MAX = 120


def frames(given, device: int, newest_first: bool) -> list[tuple[int, bytes]]:
    """How many records, and the frame."""
    today = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [int((today - datetime.timedelta(days=before)).timestamp()) for before in range(given.days, 0, -1)]
    found = []
    for day in reversed(days) if newest_first else days:
        times = range(day, day + 86_400, given.every)
        for first in range(0, len(times), given.frame):
            positions = [position(device, time_s) for time_s in times[first : first + given.frame]]
            found.append((len(positions), trackers.codec8(positions)))
    return found


def position(device: int, time_s: int) -> trackers.Position:
    away = time_s % 86_400 / 1e6
    return trackers.Position(time_s, 50 + device / 1000 + away, 8 + away, (time_s // 7 + device) % 121)


async def send(target: str, device: int, of: list[tuple[int, bytes]], go: asyncio.Event, pause_s: float) -> int:
    host, port = target.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(trackers.login("teltonika", f"{357_000_000_000_000 + device}"))
        assert await asyncio.wait_for(reader.readexactly(1), ANSWER_S_MAX) == b"\x01", "the login was refused"
        await go.wait()
        begun, acknowledged = time.monotonic(), 0
        for number, (count, frame) in enumerate(of):
            await asyncio.sleep(max(0.0, begun + number * pause_s - time.monotonic()) if pause_s else 0)
            writer.write(frame)
            answer = await asyncio.wait_for(reader.readexactly(4), ANSWER_S_MAX)
            assert answer == count.to_bytes(4), f"{answer.hex()} in place of {count}"
            acknowledged += count
        return acknowledged
    finally:
        writer.close()


async def fleet(given, target: str, said: list[list[tuple[int, bytes]]]) -> tuple[int, float]:
    go = asyncio.Event()
    pause_s = given.devices * given.frame / given.rate if given.rate else 0
    tasks = [asyncio.create_task(send(target, device, of, go, pause_s)) for device, of in enumerate(said)]
    await asyncio.sleep(1)
    begun = time.monotonic()
    go.set()
    return sum(await asyncio.gather(*tasks)), time.monotonic() - begun


def commits(table) -> dict:
    """What the table's log says that happened. It keeps its entries for a week."""
    operations, files, rows = collections.Counter(), collections.Counter(), collections.Counter()
    for entry in sorted((table / "_delta_log").glob("*.json")):
        operation, changed = None, False
        sizes = {}
        for line in entry.read_text().splitlines():
            action = json.loads(line)
            operation = action["commitInfo"].get("operation") if "commitInfo" in action else operation
            for kind in ("add", "remove"):
                if kind in action:
                    files[kind] += 1
                    changed = True
            if "add" in action:
                sizes[action["add"]["path"]] = json.loads(action["add"].get("stats") or "{}").get("numRecords", 0)
        has_removed = '"remove":' in entry.read_text()
        rows["rewritten" if has_removed else "new"] += sum(sizes.values())
        operations[f"{operation}{'' if changed else ', no files'}"] += 1
    return {
        "commits": operations.total(), "by_operation": dict(operations),
        "files_added": files["add"], "files_removed": files["remove"], "files_live": files["add"] - files["remove"],
        "rows_new": rows["new"], "rows_written_again": rows["rewritten"],
    }


def once(given, newest_first: bool) -> bool:
    said = [frames(given, device, newest_first) for device in range(given.devices)]
    wanted = sum(count for of in said for count, _ in of)
    environment = {"ODOGRAPH_LAKE__LATE_FLUSH_AFTER": given.late_flush} if given.late_flush else {}
    with common.work_folder() as name:
        data = common.pathlib.Path(name) / "data"
        with Server(given.server, data, environment=environment) as server:
            begun = time.monotonic()
            acknowledged, took_s = asyncio.run(fleet(given, server.target, said))
            server.wait_for_history(3600)
            read_s = time.monotonic() - begun
            server.wait_for_history(3600, committed=True)
            files_s = time.monotonic() - begun
            counted = common.counts(given.server, data)
            # What merges small files may be under way.
            time.sleep(3)
            server.stop()
        told = commits(data / "lake" / "default" / "records")
    say(f"{'newest day first' if newest_first else 'in order':<16} sent {wanted}, acknowledged {acknowledged} in {took_s:.1f} s; "
        f"read by history after {read_s:.1f} s, all in files after {files_s:.1f} s; sql {json.dumps(counted)}")
    say(f"{'':<16} {json.dumps(told)}")
    return acknowledged == wanted == counted["records"] == counted["ids"]


def main() -> int:
    parser = common.arguments(__doc__, "server")
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--every", type=int, default=60)
    parser.add_argument("--frame", type=int, default=60)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--late-flush")
    given = parser.parse_args()
    return 0 if all([once(given, newest_first) for newest_first in (False, True)]) else 1


if __name__ == "__main__":
    common.run(main)
