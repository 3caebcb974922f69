"""Compares the server with yardstick's durable sink: frames a second, time until the acknowledgement, and CPU time for a frame.

    load.py SERVER YARDSTICK [--rounds 5] [--rows 100x1x1,100x20x8] [--seconds 4] [--raw FILE]

A row is DEVICES x RECORDS in a frame x FRAMES in flight. In each round of a row both are loaded, each with a fresh folder, the
one that is first changing from round to round. A line of the table has the medians of the rounds (k frames/s, ms, ms, CPU us of
the server process for an acknowledged frame, logins included), the ratio of the medians, the least and greatest ratio of a
round, and what the ratio should be. With --raw, each run's whole result goes to a file, as JSON lines.
"""

import json
import sys

import common
from common import Server, Sink, median, say

ROWS = [(devices, records, inflight) for devices in (100, 1000, 10000) for records in (1, 20) for inflight in (1, 8)]
HEAD = "devices rec inflight |  sink k/s  p50  p99  us/f |  odo k/s  p50  p99  us/f | ratio  min-max   goal"


def rows(text: str) -> list[tuple[int, int, int]]:
    return [tuple(map(int, row.split("x"))) for row in text.split(",")]


def goal(records: int, inflight: int) -> float:
    if inflight == 1:
        return 0.6
    return 0.4 if records == 1 else 0.2


def once(given, row: tuple[int, int, int], is_sink: bool) -> dict:
    devices, records, inflight = row
    with common.work_folder() as name:
        folder = common.pathlib.Path(name)
        process = Sink(given.yardstick, folder, durable=True) if is_sink else Server(given.server, folder / "data")
        with process:
            before = process.cpu_s()
            result = common.yardstick(
                given.yardstick, "load", "--target", process.target, "--protocol", "teltonika", "--devices", devices,
                "--records-per-frame", records, "--pipeline", inflight, "--duration", given.seconds, limit_s=given.seconds + 150,
            )
            cpu_s = process.cpu_s() - before
            process.stop()
    if result["reconnects"] or result["rejected"] or result["logged_in"] != devices:
        print(f"odd: {json.dumps(result)}", file=sys.stderr, flush=True)
    frames = result["acked"] / records
    measured = {"server_cpu_s": cpu_s, "cpu_us_frame": cpu_s * 1e6 / max(frames, 1)}
    return {"server": "sink" if is_sink else "odograph"} | measured | result


def line(row: tuple[int, int, int], sinks: list[dict], odos: list[dict]) -> str:
    def told(runs: list[dict]) -> str:
        rate = median(run["frames_per_s"] for run in runs) / 1000
        p50, p99 = (median(run["ack_ms"][part] for run in runs) for part in ("p50", "p99"))
        return f"{rate:8.1f} {p50:6.2f} {p99:6.1f} {median(run['cpu_us_frame'] for run in runs):5.1f}"

    rate = lambda runs: median(run["frames_per_s"] for run in runs)
    ratio, wanted = rate(odos) / rate(sinks), goal(row[1], row[2])
    pairs = [odo["frames_per_s"] / sink["frames_per_s"] for sink, odo in zip(sinks, odos)]
    missed = " MISSED" if ratio < wanted else ""
    return (
        f"{row[0]:7} {row[1]:3} {row[2]:8} | {told(sinks)} | {told(odos)} | {ratio:5.2f}  {min(pairs):.2f}-{max(pairs):.2f}  "
        f"{wanted:.1f}{missed}"
    )


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=rows, default=ROWS)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--raw", type=common.pathlib.Path)
    given = parser.parse_args()
    say(HEAD)
    for row in given.rows:
        results: dict[bool, list[dict]] = {True: [], False: []}
        for number in range(given.rounds):
            for is_sink in (True, False) if number % 2 == 0 else (False, True):
                result = once(given, row, is_sink)
                results[is_sink].append(result)
                if given.raw:
                    with given.raw.open("a") as raw:
                        raw.write(json.dumps({"row": row, "round": number} | result) + "\n")
        say(line(row, results[True], results[False]))
    return 0


if __name__ == "__main__":
    common.run(main)
