"""Compares what was acknowledged with what is there: by SQL, by an export, and by DuckDB over the table's live files."""

import collections
import datetime
import json
import pathlib
import sys
import time
from dataclasses import dataclass

import duckdb

from server import Server
from trackers import Record, imei

sys.path.append(str(pathlib.Path(__file__).parent.parent))
from duckdb_questions import live_files  # noqa: E402


@dataclass
class Found:
    """How one way of reading compares with the ledger."""

    way: str
    records: int
    missing: int
    duplicated: int
    wrong: int
    unexpected: int
    wrong_sums: int

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.duplicated or self.wrong or self.unexpected or self.wrong_sums)


def day_start_s(days_before: int) -> int:
    today = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=days_before)
    return int(datetime.datetime.combine(today, datetime.time(), datetime.UTC).timestamp())


def sums_of(records: list[Record]) -> dict[str, tuple]:
    """For each device: how many, and the sums of its speeds and altitudes."""
    sums: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    for record in records:
        of = sums[imei(record.device)]
        of[0] += 1
        of[1] += record.speed
        of[2] += record.altitude
    return {device: tuple(of) for device, of in sums.items()}


SUMS = (
    "SELECT device, count(*) AS records, count(DISTINCT id) AS ids, sum(position_speed) AS speed, "
    "sum(position_altitude) AS altitude FROM records WHERE day >= '{first}' GROUP BY device"
)


def compare_sums(way: str, kept: list[Record], rows: list[tuple]) -> Found:
    """Rows are device, records, ids, sums of speed and altitude."""
    wanted = sums_of(kept)
    there = {device: tuple(round(value) for value in values) for device, *values in rows}
    found = Found(way, 0, 0, 0, 0, 0, 0)
    for device in wanted.keys() | there.keys():
        count, speed, altitude = wanted.get(device, (0, 0, 0))
        records, ids, *sums = there.get(device, (0, 0, 0, 0))
        found.records += records
        found.duplicated += records - ids
        found.missing += max(count - ids, 0)
        found.unexpected += max(ids - count, 0)
        found.wrong_sums += (speed, altitude) != tuple(sums)
    return found


def compare_rows(way: str, kept: list[Record], rows) -> Found:
    """Rows are device, time in ms, speed, altitude, latitude, longitude."""
    wanted = {(imei(record.device), record.time_s * 1000): record for record in kept}
    times = collections.Counter()
    found = Found(way, 0, 0, 0, 0, 0, 0)
    for device, time_ms, speed, altitude, latitude, longitude in rows:
        found.records += 1
        record = wanted.get((device, time_ms))
        if record is None:
            found.unexpected += 1
            continue
        times[record] += 1
        is_near = abs(latitude - record.latitude) < 1e-6 and abs(longitude - record.longitude) < 1e-6
        found.wrong += not ((speed, altitude) == (record.speed, record.altitude) and is_near)
    found.missing = len(wanted) - len(times)
    found.duplicated = times.total() - len(times)
    return found


def export_rows(server: Server, first: str):
    for line in server.run("export", "records", "--from", first).splitlines():
        row = json.loads(line)
        moment = datetime.datetime.fromisoformat(row["time"])
        position = (row["position.latitude"], row["position.longitude"])
        yield row["device"], round(moment.timestamp() * 1000), row["position.speed"], row["position.altitude"], *position


def wait_for_retention(server: Server, first: str) -> int:
    """Until no day is there that is not kept. Returns how many of its records never went: 0, or it took too long."""
    end = time.monotonic() + RETENTION_S_MAX
    while True:
        ((left,),) = [row.values() for row in server.sql(f"SELECT count(*) AS n FROM records WHERE day < '{first}'")]
        if left == 0 or time.monotonic() > end:
            return left
        time.sleep(0.2)


def check(server: Server, acknowledged: list[Record], keep_days: int) -> bool:
    """Stops the server in between. Prints what was found, and returns whether it is right."""
    first_s = day_start_s(keep_days)
    first = datetime.datetime.fromtimestamp(first_s, datetime.UTC).date().isoformat()
    kept = [record for record in acknowledged if record.time_s >= first_s]
    assert len(kept) == len(set(kept)), "the ledger has a record twice"
    query = SUMS.format(first=first)
    as_rows = lambda rows: [tuple(row[key] for key in ("device", "records", "ids", "speed", "altitude")) for row in rows]
    found = [compare_sums("sql, server runs", kept, as_rows(server.sql(query)))]
    left = wait_for_retention(server, first)
    server.stop()
    found.append(compare_sums("sql, server stopped", kept, as_rows(server.sql(query))))
    found.append(compare_rows("export records", kept, export_rows(server, first)))
    table = server.data / "lake" / "default" / "records"
    files = live_files(table)
    duckdb.execute(
        f"CREATE OR REPLACE VIEW records AS SELECT * FROM read_parquet({files!r}, hive_partitioning = true, "
        "union_by_name = true)"
    )
    found.append(compare_sums("DuckDB, sums", kept, duckdb.execute(query).fetchall()))
    rows = duckdb.execute(
        "SELECT device, epoch_ms(time), position_speed, position_altitude, position_latitude, position_longitude "
        f"FROM records WHERE day >= '{first}'"
    ).fetchall()
    found.append(compare_rows("DuckDB, row by row", kept, rows))
    server.run("journal", "verify", "--history")
    print(f"\nkept from {first} on; acknowledged: {len(kept)} of kept days, {len(acknowledged) - len(kept)} of others")
    print(f"{'read by':<20} {'records':>8} {'missing':>8} {'duplicated':>10} {'wrong':>6} {'unexpected':>10} {'wrong sums':>10}")
    for one in found:
        print(
            f"{one.way:<20} {one.records:>8} {one.missing:>8} {one.duplicated:>10} {one.wrong:>6} {one.unexpected:>10} "
            f"{one.wrong_sums:>10}"
        )
    there = sum(1 for _ in table.glob("day=*/*.parquet"))
    print(f"records of other days that did not go: {left}; live files: {len(files)}, files in the folder: {there}")
    print("journal verify --history: sound")
    return left == 0 and all(one.is_right for one in found)


RETENTION_S_MAX = 60
