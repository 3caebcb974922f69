"""Kills a server again and again while it takes records and cares for its tables, until every step has been interrupted often
enough; then everything that was acknowledged has to be there, once.

Usage: kill_steps.py ODOGRAPH [--kills 60] [--each 6]

Prints which step each kill interrupted, by the server's own log, and how what is there compares with what was acknowledged. Exit
status 1: something is missing, doubled or wrong, or a step was not reached.
"""

import argparse
import asyncio
import collections
import pathlib
import random
import statistics
import sys
import tempfile
import time

from check import check, day_start_s
from server import STEPS, Server
from trackers import Ledger, Record, Tracker

SETTINGS = """
[http]
listen = "127.0.0.1:0"
[ingest]
default_ports = false
[[listener]]
protocol = "wialon"
transport = "tcp"
listen = "127.0.0.1:0"
[[listener]]
protocol = "teltonika"
transport = "tcp"
listen = "127.0.0.1:0"
[journal]
segment_bytes = "64 KiB"
[lake]
flush_after = "100 ms"
late_flush_after = "300 ms"
frames_flush_after = "200 ms"
keep_records_days = 10
removed_files_after = "500 ms"
log_entries_after = "0 ms"
maintain_every = "100 ms"
[log]
format = "json"
level = "info,odograph_lake=debug,odograph_lake::query=info,odograph_ingest::gateway=debug"
"""
KEEP_DAYS = 10


class Truck(Tracker):
    """Sends what it measures now, the backlog of a dead zone, and what is so old that nobody keeps it."""

    def prepare(self) -> None:
        self.sent = collections.Counter()

    def next_records(self) -> list[Record]:
        # A few have backlogs: each day of each is looked up again after a kill, and what is new waits for that.
        has_backlog = self.device < BACKLOG_DEVICES
        day = self.dice.choice((0, 0, 1, 2, 20, 21)) if has_backlog else 0
        count = self.dice.randrange(1, 9)
        first = day_start_s(day) + self.sent[day]
        self.sent[day] += count
        return [Record(self.device, first + number) for number in range(count)]

    async def drive(self, ending: asyncio.Event, pause_s: float) -> None:
        self.prepare()
        while not ending.is_set():
            await self.send(self.next_records())
            await asyncio.sleep(self.dice.uniform(0, 2 * pause_s))
            if self.dice.random() < 0.02:
                self.hang_up()
        self.hang_up()


async def kill_once(server: Server, wanted: set[str], in_start: bool, dice: random.Random) -> dict[str, float]:
    """Starts the server, and kills it: when one of the wanted steps has begun, at any moment, or while it starts."""
    server.start()
    if in_start:
        await asyncio.sleep(dice.uniform(0, START_S))
        server.kill()
        return await asyncio.to_thread(server.after_kill)
    if not await asyncio.to_thread(server.ready.wait, READY_S_MAX):
        raise TimeoutError("the server is not ready")
    await asyncio.sleep(dice.uniform(0.1, 1.0))
    server.wanted = wanted
    end = time.monotonic() + (WANTED_S_MAX if wanted else dice.uniform(0.1, 2.0))
    while server.killed_at is None and server.process.poll() is None and time.monotonic() < end:
        await asyncio.sleep(0.02)
    server.kill()
    return await asyncio.to_thread(server.after_kill)


class Tally:
    """How many kills interrupted each step."""

    def __init__(self) -> None:
        self.ages: dict[str, list[float]] = {step: [] for step in STEPS}
        self.last = collections.Counter()
        self.kills = self.at_rest = self.in_start = 0

    def add(self, in_start: bool, ages: dict[str, float], last: str | None) -> None:
        self.kills += 1
        self.at_rest += not ages and not in_start
        self.in_start += in_start
        for step, age in ages.items():
            self.ages[step].append(age)
        if last in ages:
            self.last[last] += 1

    def wanted(self, each: int) -> set[str]:
        """The steps that too few kills interrupted so far."""
        return {step for step in STEPS if len(self.ages[step]) < each}

    def is_enough(self, kills: int, each: int) -> bool:
        return self.kills >= kills and not self.wanted(each)

    def print(self, server: Server) -> None:
        print(f"\n{self.kills} kills, {self.in_start} of them within a start, {self.at_rest} between steps")
        print(f"{'step':<16} {'kills in it':>11} {'it began last':>13} {'after ms':>9} {'takes ms':>9} {'completed':>9}")
        for step in STEPS:
            ages, took = self.ages[step], server.steps.took[step]
            after, takes = (f"{statistics.median(times or [0]) * 1000:.1f}" for times in (ages, took))
            print(f"{step:<16} {len(ages):>11} {self.last[step]:>13} {after:>9} {takes:>9} {len(took):>9}")


async def run(given: argparse.Namespace, server: Server) -> bool:
    dice, ledger, tally = random.Random(given.seed), Ledger(), Tally()
    ending = asyncio.Event()
    trucks = [Truck(device, server, ledger, random.Random(dice.random())) for device in range(given.devices)]
    tasks = [asyncio.create_task(truck.drive(ending, given.pause)) for truck in trucks]
    end = time.monotonic() + given.minutes * 60
    while not tally.is_enough(given.kills, given.each) and time.monotonic() < end:
        # Every third one at any moment at all.
        wanted = tally.wanted(given.each) if tally.kills % 3 else set()
        in_start = not wanted and dice.random() < IN_START
        ages = await kill_once(server, wanted, in_start, dice)
        tally.add(in_start, ages, server.steps.last[0] if server.steps.last else None)
        print(f"kill {tally.kills}: interrupted {', '.join(ages) or 'nothing'}; "
              f"{len(ledger.acknowledged)} records acknowledged", file=sys.stderr)
        fallen = [task for task in tasks if task.done()]
        if fallen:
            await fallen[0]
    server.start()
    ending.set()
    await asyncio.wait_for(asyncio.gather(*tasks), DRAIN_S_MAX)
    tally.print(server)
    print(f"\n{ledger.frames} frames acknowledged over {ledger.connections} connections; tries again: {ledger.frames_again}")
    is_right = await asyncio.to_thread(check, server, ledger.acknowledged, KEEP_DAYS)
    print("\nthe server's log told, besides steps:")
    for message, count in sorted(server.told.items()):
        print(f"{count:>6} {message}")
    return is_right and tally.is_enough(given.kills, given.each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("odograph", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=60, help="so many kills at least")
    parser.add_argument("--each", type=int, default=6, help="so many of them in each step at least")
    parser.add_argument("--minutes", type=float, default=9, help="give up after this time")
    parser.add_argument("--devices", type=int, default=24)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between a device's frames, on the average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="an empty folder for the data, which is kept")
    given = parser.parse_args()
    # The thread that reads the log has to be quick with its kill.
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        with Server(given.odograph, folder, SETTINGS) as server:
            is_right = asyncio.run(run(given, server))
    sys.exit(0 if is_right else 1)


BACKLOG_DEVICES = 4
START_S = 1.0
# The part of all random kills that comes while the server starts.
IN_START = 0.3
READY_S_MAX = 60
WANTED_S_MAX = 20
DRAIN_S_MAX = 120

if __name__ == "__main__":
    main()
