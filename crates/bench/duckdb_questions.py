"""Asks DuckDB over a table's live files what `questions` asks a server, and says what each column takes for a record.

Usage: duckdb_questions.py FOLDER_OF_THE_TABLE [--count N]
"""

import argparse
import json
import pathlib
import random
import time

import duckdb


def live_files(table: pathlib.Path) -> list[str]:
    """The files that count, by the table's log: its last checkpoint, and the commits behind it."""
    log, live, first = table / "_delta_log", set(), 0
    pointer = log / "_last_checkpoint"
    if pointer.exists():
        version = json.loads(pointer.read_text())["version"]
        first = version + 1
        for part in sorted(log.glob(f"{version:020}.checkpoint*.parquet")):
            rows = duckdb.sql(f"SELECT add.path FROM read_parquet('{part}') WHERE add.path IS NOT NULL").fetchall()
            live.update(path for (path,) in rows)
    version = first
    while (entry := log / f"{version:020}.json").exists():
        for line in entry.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                live.add(action["add"]["path"])
            if "remove" in action:
                live.discard(action["remove"]["path"])
        version += 1
    return [str(table / path) for path in sorted(live)]


def columns(files: list[str]) -> None:
    """Bytes for a record, by column."""
    query = (
        "SELECT path_in_schema AS name, sum(total_compressed_size) AS bytes FROM parquet_metadata($files) "
        "GROUP BY name ORDER BY bytes DESC"
    )
    sizes = duckdb.execute(query, {"files": files}).fetchall()
    ((rows,),) = duckdb.execute("SELECT sum(num_rows) FROM parquet_file_metadata($files)", {"files": files}).fetchall()
    total = 0.0
    for name, size in sizes:
        print(json.dumps({"column": name, "bytes_per_record": round(size / rows, 3)}))
        if name not in ("id", "received"):
            total += size / rows
    print(json.dumps({"records": rows, "files": len(files), "bytes_per_record_besides_id_and_received": round(total, 2)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--fleet", type=int, default=500)
    given = parser.parse_args()
    files = live_files(given.table)
    columns(files)
    listed = "['" + "', '".join(files) + "']"
    duckdb.execute(
        f"CREATE VIEW records AS SELECT * FROM read_parquet({listed}, hive_partitioning = true, union_by_name = true)"
    )
    devices = [row[0] for row in duckdb.sql("SELECT DISTINCT device FROM records ORDER BY 1").fetchall()]
    days = [str(row[0]) for row in duckdb.sql("SELECT DISTINCT day FROM records ORDER BY 1").fetchall()]
    sums = (
        "device, count(*) AS records, max(position_speed) AS fastest, avg(temperature_1) AS temperature, "
        "max(vehicle_mileage) - min(vehicle_mileage) AS driven FROM records"
    )
    dice = random.Random(1)

    def fleet(scattered: bool) -> str:
        first = dice.randrange(max(len(devices) - given.fleet, 1))
        chosen = dice.choices(devices, k=given.fleet) if scattered else devices[first:first + given.fleet]
        return "device IN ('" + "', '".join(chosen) + "')"

    kinds = {
        "day": (1, lambda: f"SELECT * FROM records WHERE device = '{dice.choice(devices)}' "
                           f"AND day = '{dice.choice(days)}' ORDER BY time"),
        "fleet-day": (10, lambda: f"SELECT {sums} WHERE {fleet(False)} AND day = '{dice.choice(days)}' GROUP BY device"),
        "fleet-month": (10, lambda: f"SELECT {sums} WHERE {fleet(False)} GROUP BY device"),
        "fleet-scattered": (10, lambda: f"SELECT {sums} WHERE {fleet(True)} GROUP BY device"),
        "count": (10, lambda: "SELECT count(*) FROM records"),
    }
    for kind, (share, question) in kinds.items():
        times, rows = [], 0
        for _ in range(-(-given.count // share)):
            begun = time.perf_counter()
            rows += len(duckdb.sql(question()).fetchall())
            times.append((time.perf_counter() - begun) * 1000)
        times.sort()
        at = lambda part: round(times[round((len(times) - 1) * part)], 2)
        print(json.dumps({"kind": kind, "questions": len(times), "rows": rows, "p50_ms": at(0.5), "p99_ms": at(0.99),
                          "max_ms": at(1)}))


if __name__ == "__main__":
    main()
