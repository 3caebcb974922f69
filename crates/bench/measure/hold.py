"""Measures what a connection costs: resident memory of the server for each of many logged-in connections that hardly say anything,
beside that of yardstick's bare sink.

    hold.py SERVER YARDSTICK [--runs 8] [--connections 19000] [--hold 10] [--ramp 5000]

Each run is a fresh process, sink and server in turn. `rss_per_connection` is yardstick's: resident memory when all are logged in,
less that before; with `_after`, when all have been held for a while, each with a record every 60 s. All resident memory counts
there, also pages of the program's file that were touched meanwhile. `anonymous_per_connection` is without them: the most that there
was at any time, less that before. Exit status 1: above the sink's own there are more than 1,536 bytes (`rss_per_connection`).
"""

import json
import threading

import common
from common import Server, Sink, median, say

BYTES_MAX = 1536
KINDS = ("rss_per_connection", "rss_per_connection_after", "anonymous_per_connection")


def once(given, is_sink: bool) -> dict:
    with common.work_folder() as name:
        folder = common.pathlib.Path(name)
        process = Sink(given.yardstick, folder, durable=False) if is_sink else Server(given.server, folder / "data")
        with process, Sampler(process) as sampler:
            result = common.yardstick(
                given.yardstick, "hold", "--target", process.target, "--connections", given.connections, "--ramp", given.ramp,
                "--period", 60, "--hold", given.hold, "--server-pid", process.pid,
                limit_s=given.connections / given.ramp + given.hold + 120,
            )
        grown = max(sampler.sizes) - sampler.sizes[0]
    return result | {"anonymous_per_connection": round(grown / max(result["established"], 1))}


class Sampler:
    """Looks at a process's anonymous memory while something else goes on."""

    def __init__(self, process: common.Process) -> None:
        self.process, self.sizes, self.ending = process, [process.anonymous_bytes()], threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self) -> None:
        while not self.ending.wait(0.25):
            self.sizes.append(self.process.anonymous_bytes())

    def __enter__(self) -> "Sampler":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.ending.set()
        self.thread.join()


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--connections", type=int, default=19_000)
    parser.add_argument("--hold", type=float, default=10)
    parser.add_argument("--ramp", type=float, default=5000)
    given = parser.parse_args()
    results: dict[str, list[dict]] = {"sink": [], "odograph": []}
    for number in range(given.runs):
        for server, found in results.items():
            result = once(given, server == "sink")
            found.append(result)
            told = ("established", "failed", "dropped", "frames", "acked", "ramp_s", *KINDS)
            say(f"run {number + 1} {server:<8} {json.dumps({name: result[name] for name in told})}")
    middle = lambda server, name: median(result[name] for result in results[server])
    for name in KINDS:
        sink, odograph = middle("sink", name), middle("odograph", name)
        difference = f"difference {odograph - sink:.0f} bytes (at most {BYTES_MAX})"
        say(f"{name:<24} medians: sink {sink:.0f}, odograph {odograph:.0f}, {difference}")
    every = [result for found in results.values() for result in found]
    is_whole = all(result["established"] == given.connections and not result["dropped"] for result in every)
    if not is_whole:
        say("not all connections were established and held")
    difference = middle("odograph", "rss_per_connection") - middle("sink", "rss_per_connection")
    return 0 if is_whole and difference <= BYTES_MAX else 1


if __name__ == "__main__":
    common.run(main)
