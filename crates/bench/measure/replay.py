"""Shows what `odograph replay` does with records whose time was read in the wrong zone: gt06 devices send positions around a
midnight (UTC), and the period is decoded again.

    replay.py SERVER [--devices 3] [--positions 50] [--zone +02:00]

One after the other, each printed: a replay without any setting (nothing changes), one with the zone (what would be otherwise),
SQL's counts by day, the replay with --apply, the counts again, the same replay once more (nothing is otherwise any more), and how
many records and ids there are. Exit status 1: something that should not change did, or days and counts are not as they should be.
"""

import datetime
import json
import socket

import common
import trackers
from common import Server, say

STEP_S = 120


def converse(target: str, imei: str, positions: list[trackers.Position]) -> None:
    """Locations are not answered: a second login behind them is, once they are on disk."""
    host, port = target.split(":")
    login = trackers.login("gt06", imei)
    locations = b"".join(trackers.gt06_location(position, serial + 2) for serial, position in enumerate(positions))
    with socket.create_connection((host, int(port)), 30) as peer:
        peer.sendall(login + locations + login)
        came = b""
        while came.count(b"\x78\x78\x05\x01") < 2:
            piece = peer.recv(4096)
            if not piece:
                raise common.Fell(f"the server hung up on {imei}: {came.hex()}")
            came += piece


class Asked:
    def __init__(self, given, data) -> None:
        self.given, self.data, self.is_right = given, data, True

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            say(f"NOT AS IT SHOULD BE: {what}")
            self.is_right = False

    def replay(self, *words: str, expected: dict | None = None) -> None:
        """Prints what it prints, and, where totals are expected, asks once more for these: nothing is applied then."""
        today = datetime.datetime.now(datetime.UTC).date()
        period = ("--from", str(today - datetime.timedelta(days=1)), "--to", str(today + datetime.timedelta(days=2)))
        say(f"\n$ odograph replay {' '.join((*period, *words))}")
        say(common.odograph(self.given.server, self.data, "replay", *period, *words).strip())
        if expected:
            lines = common.odograph(self.given.server, self.data, "replay", *period, *words, "--json").splitlines()
            total = json.loads(lines[-1])["total"]
            self.expect(expected.items() <= total.items(), f"{expected} is not in {total}")

    def days(self) -> dict[str, int]:
        query = "SELECT day, count(*) AS records FROM records GROUP BY day ORDER BY day"
        found = {row["day"]: row["records"] for row in common.sql(self.given.server, self.data, query)}
        say(f"\nby day: {json.dumps(found)}")
        return found


def main() -> int:
    parser = common.arguments(__doc__, "server")
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--positions", type=int, default=50)
    parser.add_argument("--zone", default="+02:00")
    given = parser.parse_args()
    midnight = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - datetime.timedelta(days=1)
    first_s = int(midnight.timestamp()) - given.positions // 2 * STEP_S
    with common.work_folder() as name:
        data = common.pathlib.Path(name) / "data"
        with Server(given.server, data, ["gt06"]) as server:
            for device in range(given.devices):
                positions = [
                    trackers.Position(first_s + number * STEP_S, 50 + device / 10 + number / 1000, 8 + number / 1000, number % 90)
                    for number in range(given.positions)
                ]
                converse(server.target, f"{358_000_000_000_000 + device}", positions)
            asked = Asked(given, data)
            setting, count = ("--set", f"zone={given.zone}"), given.devices * given.positions
            unchanged = {"same": count, "changed": 0, "new": 0, "gone": 0, "moved_days": 0, "kept": 0}
            before = asked.days()
            asked.replay(expected=unchanged)
            asked.replay(*setting, expected={"same": 0, "changed": count, "new": 0, "gone": 0, "kept": 0})
            asked.expect(asked.days() == before, "days changed without --apply")
            asked.replay(*setting, "--apply")
            after = asked.days()
            asked.expect(sum(after.values()) == sum(before.values()) and after != before, "no record moved, or some are gone")
            asked.replay(*setting, expected=unchanged)
            counted = common.counts(given.server, data)
            say(f"\nsql {json.dumps(counted)}")
            asked.expect(counted["records"] == counted["ids"] == count, "not each record once")
            server.stop()
    return 0 if asked.is_right else 1


if __name__ == "__main__":
    common.run(main)
