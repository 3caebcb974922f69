"""Shows what watching a large fleet costs: updates a second, time from the acknowledgement to whoever watches, memory.

    live.py SERVER [--devices 100000] [--subscribers 20] [--seconds 60] [--interval 10]

`odograph simulate` sends by UDP until all devices are in state, and goes on. Then subscribers watch boxes of a degree around the
cities of the fleet, zoomed in, as server-sent events. In each box a device of ours sends a position over TCP now and then: timed is
from the last byte of its acknowledgement to the batch that has it. One more subscriber asks for the whole fleet and never reads;
in the end it does, and shows how much had been kept for it, and whether it then hears the newest. Exit status 1: it does not, or
somebody was cut off.
"""

import asyncio
import datetime
import json
import random
import re
import subprocess
import time

import common
from common import Server, say


# Of the fleet: some stand where there is no network, and say nothing for hours.
IN_STATE = 0.999


class Watch:
    """A subscriber. It counts devices in batches, and knows when it heard of its probe's records."""

    def __init__(self, server: Server, token: str, view: str, probe: str) -> None:
        self.server, self.token, self.view = server, token, view
        self.told = re.compile(rb'"device":"%b","state":"[a-z_]+","protocol":"wialon","time":"([^"]+)"' % probe.encode())
        self.heard: dict[bytes, float] = {}
        self.updates = self.batches = self.bytes = 0
        self.is_first = True

    async def connect(self) -> None:
        host, port = self.server.http.split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port), limit=2**26)
        self.writer.write((
            f"GET /api/v1/live?parameters=position.speed{self.view} HTTP/1.1\r\nhost: {self.server.http}\r\n"
            f"authorization: Bearer {self.token}\r\naccept: text/event-stream\r\n\r\n"
        ).encode())
        await self.writer.drain()

    async def head(self) -> None:
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise common.Fell(f"a subscriber was answered {head[:60]!r}")

    async def read(self) -> None:
        await self.head()
        while True:
            self.take(await self.batch())

    async def batch(self) -> bytes:
        """One event, out of the chunks that it came in."""
        event = b""
        while not event.endswith(b"\n\n"):
            length = int(await self.reader.readline(), 16)
            if length == 0:
                raise common.Fell("a subscriber was cut off")
            event += (await self.reader.readexactly(length + 2))[:-2]
        return event

    def take(self, event: bytes) -> None:
        now = time.monotonic()
        self.bytes += len(event)
        if self.is_first:
            # What is there already is no update.
            self.is_first = b'"more":true' in event
            return
        self.batches += 1
        self.updates += event.count(b'{"device":"')
        for moment in self.told.findall(event):
            self.heard.setdefault(moment, now)


class Probe:
    """A device of ours within somebody's box, over a connection of its own."""

    def __init__(self, number: int, box: tuple) -> None:
        self.imei = f"35999900{number:07}"
        # Near a corner, where the fleet is not.
        self.longitude, self.latitude = box[0] + 0.03, box[1] + 0.03
        self.acknowledged: dict[bytes, float] = {}
        self.moment_s = 0

    async def run(self, target: str, until: float) -> None:
        host, port = target.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"#L#{self.imei};NA\r\n".encode())
        await expect(reader, b"#AL#1\r\n")
        while time.monotonic() < until:
            await self.say(reader, writer)
            await asyncio.sleep(random.uniform(1.2, 4))
        writer.close()

    async def say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Each record is of another second, so that a batch says which one it knows.
        self.moment_s = max(self.moment_s + 1, int(time.time()))
        moment = datetime.datetime.fromtimestamp(self.moment_s, datetime.UTC)
        place = f"{angle(self.latitude, 2, 'NS')};{angle(self.longitude, 3, 'EW')}"
        writer.write(f"#SD#{moment:%d%m%y;%H%M%S};{place};{random.randint(0, 90)};90;100;9\r\n".encode())
        await expect(reader, b"#ASD#1\r\n")
        self.acknowledged[f"{moment:%Y-%m-%dT%H:%M:%S}.000Z".encode()] = time.monotonic()


def angle(degrees: float, digits: int, letters: str) -> str:
    """Degrees and minutes in one number, and which half of the earth."""
    whole, minutes = int(abs(degrees)), abs(degrees) % 1 * 60
    return f"{whole:0{digits}}{minutes:07.4f};{letters[degrees < 0]}"


async def expect(reader: asyncio.StreamReader, answer: bytes) -> None:
    line = await asyncio.wait_for(reader.readline(), 30)
    if line != answer:
        raise common.Fell(f"a probe was answered {line!r} instead of {answer!r}")


async def watch(server: Server, token: str, given, boxes: list[tuple]) -> bool:
    probes = [Probe(number, box) for number, box in enumerate(boxes)]
    views = ["&zoom=14&box=" + ",".join(f"{degrees:.4f}" for degrees in box) for box in boxes]
    watches = [Watch(server, token, view, probe.imei) for view, probe in zip(views, probes)]
    lazy = Watch(server, token, "", probes[0].imei)
    before = server.anonymous_bytes()
    for subscriber in [*watches, lazy]:
        await subscriber.connect()
    reading = [asyncio.create_task(subscriber.read()) for subscriber in watches]
    # The first state of all boxes.
    await asyncio.sleep(10)
    for subscriber in watches:
        subscriber.updates = subscriber.batches = subscriber.bytes = 0
    cpu_s, begun, sizes = server.cpu_s(), time.monotonic(), []
    until = begun + given.seconds
    sending = [asyncio.create_task(probe.run(server.targets["wialon"], until)) for probe in probes]
    while time.monotonic() < until:
        await asyncio.sleep(1)
        sizes.append(server.anonymous_bytes())
        for task in reading + sending:
            if task.done():
                task.result()
    seconds = time.monotonic() - begun
    cpu_s = server.cpu_s() - cpu_s
    await asyncio.gather(*sending)
    # A batch may be on its way.
    await asyncio.sleep(3)
    late_ms, unheard = [], 0
    for subscriber, probe in zip(watches, probes):
        for moment, acknowledged in probe.acknowledged.items():
            heard = subscriber.heard.get(moment)
            # Whoever sends twice between two batches is heard of once.
            unheard += heard is None
            if heard is not None:
                late_ms.append((heard - acknowledged) * 1000)
    late_ms.sort()
    updates, batches, octets = (sum(getattr(s, name) for s in watches) for name in ("updates", "batches", "bytes"))
    say(f"{len(watches)} subscribers, {seconds:.0f} s: {updates / seconds:.0f} updates/s in {batches / seconds:.1f} batches/s, "
        f"{octets / seconds / 1e6:.2f} MB/s; the server's processor {cpu_s / seconds:.2f} s/s, with the fleet's records")
    at = lambda share: late_ms[min(len(late_ms) - 1, int(len(late_ms) * share))]
    say(f"from acknowledgement to subscriber: {len(late_ms)} heard, {unheard} overtaken; "
        f"p50 {at(0.5):.0f} p99 {at(0.99):.0f} max {late_ms[-1]:.0f} ms")
    say(f"anonymous memory: {before / 2**20:.0f} MiB before, {max(sizes) / 2**20:.0f} at most, {sizes[-1] / 2**20:.0f} in the end")
    for task in reading:
        task.cancel()
    return await wakes(lazy, max(probes[0].acknowledged))


async def wakes(lazy: Watch, newest: bytes) -> bool:
    """Reads what was never read, until it has a probe's newest record."""
    begun = time.monotonic()
    await lazy.head()
    batches, octets = 0, 0
    while newest not in lazy.heard:
        if time.monotonic() - begun > 60:
            say(f"the one that never read has not heard the newest after {batches} batches of {octets / 1e6:.1f} MB")
            return False
        event = await asyncio.wait_for(lazy.batch(), 60)
        batches, octets = batches + 1, octets + len(event)
        lazy.heard |= dict.fromkeys(lazy.told.findall(event), 0.0)
    took = time.monotonic() - begun
    say(f"the one that never read had {batches} batches of {octets / 1e6:.1f} MB up to the newest, which took {took:.1f} s")
    return True


def main() -> int:
    parser = common.arguments(__doc__, "server")
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--subscribers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=int, default=10, help="seconds between two records of a device that drives")
    given = parser.parse_args()
    cities = subprocess.run([given.server, "simulate", "--list-cities", "--json"], capture_output=True, text=True, check=True)
    cities = [json.loads(line) for line in cities.stdout.splitlines()][: given.subscribers]
    boxes = [(c["longitude"] - 0.5, c["latitude"] - 0.5, c["longitude"] + 0.5, c["latitude"] + 0.5) for c in cities]
    with common.work_folder() as name:
        folder = common.pathlib.Path(name)
        with Server(given.server, folder / "data", ("teltonika", "wialon")) as server:
            made = json.loads(common.odograph(given.server, folder / "data", "token", "create", "--json"))
            empty = server.anonymous_bytes()
            fleet = [
                given.server, "simulate", "--devices", given.devices, "--udp", "--target", server.target, "--json",
                "--interval", given.interval, "--standing-interval", given.interval * 6,
            ]
            with common.Process(fleet, folder / "fleet.log") as sending:
                begun = time.monotonic()
                counts = lambda: json.loads(common.asked(server, "/api/v1/live/counts", made["secret"]))
                sending.wait_until(lambda: time.sleep(1) or sum(counts().values()) >= given.devices * IN_STATE, 900)
                say(f"{given.devices} devices in state after {time.monotonic() - begun:.0f} s: {counts()}; anonymous memory "
                    f"{empty / 2**20:.0f} MiB before, {server.anonymous_bytes() / 2**20:.0f} now")
                is_well = asyncio.run(watch(server, made["secret"], given, boxes))
                last = json.loads(sending.log_end().splitlines()[-1])
                say(f"the fleet: {json.dumps(last)}")
                sending.kill()
            server.stop()
    return 0 if is_well else 1


if __name__ == "__main__":
    common.run(main)
