"""Kills the server again and again under load, and compares what was acknowledged with what four ways of reading find: yardstick's
check of an export, SQL, a second export after the end, and DuckDB over the files that the table's log names.

    crash.py SERVER YARDSTICK PROTOCOL [--kills 50] [--sums] [--devices 500] [--records 5] [--rate 2000]

PROTOCOL is teltonika, wialon, gt06, or all. With --sums also the sums of some columns, by all three. Run it with a Python that has
DuckDB (docs/internals/measuring.md says how to make one); with another one, DuckDB is left out, and that is said. Exit
status 1: something is missing, doubled or wrong, or the ways disagree.
"""

import json
import math
import shlex

import common
from common import FIELD_ARGUMENTS, say

COLUMNS = ("position_speed", "position_direction", "position_altitude", "position_satellites", "external_power_voltage",
           "temperature_1", "vehicle_mileage", "position_latitude")


def crash(given, protocol: str, folder) -> dict:
    data, port, http = folder / "data", common.free_port(), common.free_port()
    words = lambda *parts: shlex.join(map(str, parts))
    environment, listen = f"ODOGRAPH_HTTP__LISTEN=127.0.0.1:{http}", f"{protocol}=127.0.0.1:{port}"
    serve = words("env", environment, given.server, "serve", "--data", data, "--listen", listen)
    export = words(given.server, "export", "records", "--data", data, "--format", "jsonl")
    return common.yardstick(
        given.yardstick, "crash", "--server-cmd", f"exec {serve}", "--ready", f"127.0.0.1:{port}", "--kills", given.kills,
        "--min-ms", 200, "--max-ms", 3000, "--devices", given.devices, "--records-per-frame", given.records, "--rate", given.rate,
        "--backoff-max-ms", 500, "--protocol", protocol, "--export-cmd", f"exec {export}", "--server-log", folder / "server.log",
        *FIELD_ARGUMENTS, limit_s=given.kills * 40 + 900, passes=(0, 1),
    )


def by_sql(given, data, columns) -> dict:
    (row,) = common.sql(given.server, data, query(columns))
    return row


def query(columns) -> str:
    sums = "".join(f", sum({column}) AS {column}" for column in columns)
    return f"SELECT count(*) AS records, count(DISTINCT id) AS ids{sums} FROM records"


def by_export(given, data, columns, to) -> dict:
    common.export_records(given.server, data, to)
    values, ids, records = {column: [] for column in columns}, set(), 0
    with to.open() as lines:
        for line in lines:
            record = json.loads(line)
            records += 1
            ids.add(record["id"])
            for column, found in values.items():
                if (value := record.get(column.replace("_", "."))) is not None:
                    found.append(value)
    return {"records": records, "ids": len(ids)} | {column: math.fsum(found) if found else None for column, found in values.items()}


def by_duckdb(data, columns) -> dict | None:
    try:
        import duckdb
    except ImportError:
        return None
    common.sys.path.append(str(common.pathlib.Path(__file__).resolve().parent.parent))
    from duckdb_questions import live_files

    files = live_files(data / "lake" / "default" / "records")
    rows = f"SELECT * FROM read_parquet({files!r}, hive_partitioning = true, union_by_name = true)"
    duckdb.execute(f"CREATE OR REPLACE VIEW records AS {rows}")
    there = {row[0] for row in duckdb.execute("DESCRIBE records").fetchall()}
    found = duckdb.execute(query([column for column in columns if column in there]))
    row = dict(zip([column[0] for column in found.description], found.fetchone()))
    return {"records": row["records"], "ids": row["ids"]} | {column: row.get(column) for column in columns} | {"files": len(files)}


def agree(left: dict, right: dict) -> bool:
    """Sums of floating numbers depend on their order, in the last digits."""
    same = lambda one, other: one == other or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9))
    return all(same(left[name], right[name]) for name in left.keys() & right.keys())


def once(given, protocol: str) -> bool:
    columns = COLUMNS if given.sums else ()
    with common.work_folder() as name:
        folder = common.pathlib.Path(name)
        result = crash(given, protocol, folder)
        say(f"{protocol} crash  {json.dumps(result)}")
        data = folder / "data"
        # Without a server, SQL reads into files what only the journal has: so DuckDB comes behind it.
        ways = {"sql": by_sql(given, data, columns), "export": by_export(given, data, columns, folder / "export.jsonl")}
        ways["duckdb"] = by_duckdb(data, columns)
        for way, found in ways.items():
            say(f"{protocol} {way:<6} {json.dumps(found) if found else 'is not there: run this with a Python that has it'}")
        told = [found for found in ways.values() if found]
        is_once = told[0]["records"] == told[0]["ids"]
        is_right = result["status"] == 0 and is_once and all(agree(told[0], found) for found in told[1:])
        say(f"{protocol} {'agrees' if is_right else 'DISAGREES'}")
        return is_right


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("protocols", metavar="PROTOCOL", type=common.protocols)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--sums", action="store_true")
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--records", type=int, default=5)
    parser.add_argument("--rate", type=float, default=2000)
    given = parser.parse_args()
    return 0 if all([once(given, protocol) for protocol in given.protocols]) else 1


if __name__ == "__main__":
    common.run(main)
