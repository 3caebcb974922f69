"""Shows how fast the API gives out history, and what it costs: a device's day and its month, as JSON and as CSV.

    history.py SERVER DATA [--count 200] [--clients 10] [--seconds 30]

DATA is a folder that `month.sh` has left; no server may run there. Each answer is read to its end over one connection, JSON page by page
of 10,000 records. Then so many clients stream a month each, another device's every time, and the server's memory is watched.
Exit status 1: an answer had not as many records as SQL counts.
"""

import datetime
import http.client
import json
import random
import threading
import time
import urllib.parse

import common
from common import Server, say


class Client:
    """A connection that asks again and again."""

    def __init__(self, server: Server, token: str) -> None:
        self.connection = http.client.HTTPConnection(server.http, timeout=120)
        self.headers = {"authorization": f"Bearer {token}"}

    def get(self, path: str, **query) -> bytes:
        self.connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}", headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise common.Fell(f"{path}: {answer.status} {body[:300]!r}")
        return body

    def csv(self, device: str, start: str, end: str) -> tuple[int, int]:
        """How many records, and how many bytes."""
        body = self.get(f"/api/v1/devices/{device}/records", **{"from": start, "to": end, "format": "csv"})
        return body.count(b"\n") - 1, len(body)

    def json(self, device: str, start: str, end: str) -> tuple[int, int]:
        records, octets, more = 0, 0, {}
        while True:
            query = {"from": start, "to": end, "limit": 10_000, **more}
            body = self.get(f"/api/v1/devices/{device}/records", **query)
            page = json.loads(body)
            records, octets = records + len(page["records"]), octets + len(body)
            if not page.get("next"):
                return records, octets
            more = {"cursor": page["next"]}


def timed(what: str, asked, ways: list[tuple]) -> list[int]:
    """Asks for each, and says how long that took. How many records each had."""
    times_ms, records, octets = [], [], 0
    for way in ways:
        begun = time.monotonic()
        count, size = asked(*way)
        times_ms.append((time.monotonic() - begun) * 1000)
        records.append(count)
        octets += size
    times_ms.sort()
    at = lambda share: times_ms[min(len(times_ms) - 1, int(len(times_ms) * share))]
    say(f"{what:12} {len(ways):4} times: p50 {at(0.5):7.1f}  p99 {at(0.99):7.1f} ms, {sum(records) / len(ways):8.1f} records and "
        f"{octets / len(ways) / 1000:8.1f} kB each")
    return records


def stream(server: Server, token: str, devices: list[str], month: tuple, given) -> None:
    """So many clients at once, each a month after the other."""
    end, told, fallen = time.monotonic() + given.seconds, [], []

    def one() -> None:
        try:
            client = Client(server, token)
            while time.monotonic() < end:
                told.append(client.csv(random.choice(devices), *month))
        except Exception as error:
            fallen.append(error)

    before, cpu_s, begun = server.anonymous_bytes(), server.cpu_s(), time.monotonic()
    clients = [threading.Thread(target=one, daemon=True) for _ in range(given.clients)]
    for client in clients:
        client.start()
    sizes = []
    while any(client.is_alive() for client in clients):
        sizes.append(server.anonymous_bytes())
        time.sleep(0.1)
    if fallen:
        raise fallen[0]
    took = time.monotonic() - begun
    records, octets = (sum(column) for column in zip(*told))
    say(f"{given.clients} clients, {took:.0f} s: {len(told)} months, {records / took:.0f} records/s, {octets / took / 1e6:.1f} MB/s, "
        f"{(server.cpu_s() - cpu_s) / took:.2f} processors; anonymous memory {before / 2**20:.0f} MiB before, {max(sizes) / 2**20:.0f} at "
        f"most")
    time.sleep(5)
    say(f"five seconds after it {server.anonymous_bytes() / 2**20:.0f} MiB")


def main() -> int:
    parser = common.arguments(__doc__, "server", "data")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    with Server(given.server, given.data) as server:
        made = json.loads(common.odograph(given.server, given.data, "token", "create", "--json"))
        client = Client(server, made["secret"])
        known = common.sql(given.server, given.data, "SELECT device, count(*) AS records, min(day) AS first, max(day) AS last "
                           "FROM records GROUP BY device ORDER BY device")
        counts = {row["device"]: row["records"] for row in known}
        first, last = (datetime.date.fromisoformat(pick(row[name] for row in known)) for pick, name in ((min, "first"), (max, "last")))
        midnight = lambda day: f"{day}T00:00:00Z"
        month = midnight(first), midnight(last + datetime.timedelta(1))
        devices, days = list(counts), [first + datetime.timedelta(n) for n in range((last - first).days + 1)]
        say(f"{len(devices)} devices, {sum(counts.values())} records, {first} to {last}")

        def a_day() -> tuple:
            day = random.choice(days)
            return random.choice(devices), midnight(day), midnight(day + datetime.timedelta(1))

        is_right = True
        for count, kind in ((given.count // 10, "warming"), (given.count, "measured")):
            if kind == "measured":
                say("each answer to its end:")
            sampled = [random.choice(devices) for _ in range(count)]
            timed("day, JSON", client.json, [a_day() for _ in range(count)])
            timed("day, CSV", client.csv, [a_day() for _ in range(count)])
            for what, asked in (("month, JSON", client.json), ("month, CSV", client.csv)):
                had = timed(what, asked, [(device, *month) for device in sampled])
                is_right &= had == [counts[device] for device in sampled]
        if not is_right:
            say("an answer had another number of records than SQL counts")
        stream(server, made["secret"], devices, month, given)
        server.stop()
    return 0 if is_right else 1


if __name__ == "__main__":
    common.run(main)
