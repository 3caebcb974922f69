"""Sends all records of a fleet again and again: each frame three times, then batched otherwise over new connections, then in
reverse order; at first while the server goes on, then while it is killed at random moments. Every record has to be there once,
and no storm may cost memory.

Usage: resend_storm.py ODOGRAPH [--devices 2000] [--storms 6] [--killed 2] [--kills 5]

Prints the server's memory after each storm, and how what is there compares with what was acknowledged. Exit status 1: something is
missing, doubled or wrong.
"""

import argparse
import asyncio
import pathlib
import random
import sys
import tempfile
import time

from check import check, day_start_s
from server import Server
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
segment_bytes = "4 MiB"
[lake]
flush_after = "1 s"
late_flush_after = "2 s"
frames_flush_after = "2 s"
removed_files_after = "5 s"
maintain_every = "2 s"
[log]
format = "json"
"""
# Every day that a record is of.
DAYS = 30


class Sender(Tracker):
    """A device that does not believe that its records arrived."""

    def prepare(self) -> None:
        # Now, and the backlogs of two days.
        of_day = lambda day, count: [Record(self.device, day_start_s(day) + second * 30) for second in range(count)]
        self.records = of_day(2, 6) + of_day(1, 6) + of_day(0, 12)

    async def once(self) -> None:
        """As a device should. A third of them send nothing: their records come with the storm."""
        if self.device % 3:
            for frame in cut(self.records, 4):
                await self.send(frame)
        self.hang_up()

    async def storm(self) -> None:
        for frame in cut(self.records, 4):
            for _ in range(3):
                await self.send(frame)
        for rebatched in (self.records, self.records[::-1]):
            self.hang_up()
            left = list(rebatched)
            while left:
                count = self.dice.randrange(1, 10)
                await self.send(left[:count])
                del left[:count]
                if self.dice.random() < 0.3:
                    self.hang_up()
        frames = cut(self.records, 5)
        self.hang_up()
        for frame in frames[::-1]:
            await self.send(frame)
        self.hang_up()


def cut(records: list[Record], count: int) -> list[list[Record]]:
    return [records[at:at + count] for at in range(0, len(records), count)]


async def all_of(senders: list[Sender], act) -> None:
    """Each once, in any order, some at a time."""
    seats = asyncio.Semaphore(AT_ONCE)

    async def one(sender: Sender) -> None:
        async with seats:
            await act(sender)

    await asyncio.gather(*(one(sender) for sender in random.Random(1).sample(senders, len(senders))))


async def killed(server: Server, storm: asyncio.Task, kills: int, dice: random.Random) -> int:
    """Kills the server while a storm goes on. Returns how often."""
    done = 0
    while done < kills and not storm.done():
        await asyncio.sleep(dice.uniform(0.2, 1.5))
        if storm.done():
            break
        server.kill()
        await asyncio.to_thread(server.after_kill)
        done += 1
        await start(server)
    await storm
    return done


async def start(server: Server) -> None:
    server.start()
    if not await asyncio.to_thread(server.ready.wait, READY_S_MAX):
        raise TimeoutError("the server is not ready")


async def run(given: argparse.Namespace, server: Server) -> bool:
    ledger, dice = Ledger(), random.Random(given.seed)
    senders = [Sender(device, server, ledger, random.Random(dice.random())) for device in range(given.devices)]
    for sender in senders:
        sender.prepare()
    await start(server)
    # The first question of all takes memory for good.
    await asyncio.to_thread(server.sql, "SELECT count(*) AS n FROM devices")
    await asyncio.sleep(SETTLE_S)
    idle = server.resident_bytes()
    print(f"{'after':<34} {'records sent':>12} {'there':>8} {'resident MB':>11} {'KB a device':>11}")

    async def told(after: str) -> None:
        ((there,),) = [row.values() for row in await asyncio.to_thread(server.sql, "SELECT count(*) AS n FROM records")]
        await asyncio.sleep(SETTLE_S)
        bytes_now = server.resident_bytes()
        each = (bytes_now - idle) / given.devices / 1024
        print(f"{after:<34} {len(ledger.acknowledged):>12} {there:>8} {bytes_now / 1e6:>11.1f} {each:>11.2f}", flush=True)

    await told("a start, with no device")
    await all_of(senders, Sender.once)
    await told("each record once, of 2 in 3 devices")
    for number in range(given.storms):
        await all_of(senders, Sender.storm)
        await told(f"storm {number + 1}")
    for number in range(given.killed):
        kills = await killed(server, asyncio.create_task(all_of(senders, Sender.storm)), given.kills, dice)
        await told(f"storm {given.storms + number + 1}, {kills} kills in it")
    print(f"\n{ledger.frames} frames acknowledged over {ledger.connections} connections; tries again: {ledger.frames_again}")
    everything = {record for sender in senders for record in sender.records}
    assert set(ledger.acknowledged) == everything, "not all was acknowledged"
    return await asyncio.to_thread(check, server, sorted(everything), DAYS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("odograph", type=pathlib.Path)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--storms", type=int, default=6, help="so many while the server goes on")
    parser.add_argument("--killed", type=int, default=2, help="and so many more while it is killed")
    parser.add_argument("--kills", type=int, default=5, help="so often in each of those")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="an empty folder for the data, which is kept")
    given = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True)
        with Server(given.odograph, folder, SETTINGS) as server:
            is_right = asyncio.run(run(given, server))
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(0 if is_right else 1)


# Connections at a time.
AT_ONCE = 256
# Until what was received is in files, and memory has been given back.
SETTLE_S = 6
READY_S_MAX = 60

if __name__ == "__main__":
    main()
