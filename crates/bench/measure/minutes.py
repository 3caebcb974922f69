"""Shows whether memory stays flat while a fleet sends on and on and history is written: the server's anonymous memory each minute.

    minutes.py SERVER YARDSTICK [--minutes 30] [--rate 5000] [--devices 1000]

One record in a frame, of 390 days ago, at a fixed rate. In the end the percentiles of the time until the
acknowledgement (`due`: from when a frame was due), and once history has caught up, how many records SQL counts and
how many different ids. Exit status 1: these are not as many as were acknowledged, each once.
"""

import json
import threading
import time

import common
from common import Server, say


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--every", type=float, default=60, help="seconds between two lines")
    given = parser.parse_args()
    seconds = given.minutes * 60
    with common.work_folder() as name:
        data = common.pathlib.Path(name) / "data"
        with Server(given.server, data) as server:
            done, fallen, results = threading.Event(), [], []

            def load() -> None:
                try:
                    results.append(common.yardstick(
                        given.yardstick, "load", "--target", server.target, "--devices", given.devices, "--records-per-frame", 1,
                        "--start-time", "390d", "--rate", given.rate, "--duration", seconds, limit_s=seconds + 150,
                    ))
                except Exception as error:
                    fallen.append(error)
                finally:
                    done.set()

            thread = threading.Thread(target=load, daemon=True)
            thread.start()
            begun, sizes = time.monotonic(), []
            say("minute  anonymous MiB  lag MiB  not in files MiB  CPU s")
            while True:
                is_over = done.wait(max(0.0, begun + len(sizes) * given.every - time.monotonic()))
                sizes.append(server.anonymous_bytes())
                lag, waiting = (server.metric(f"odograph_pipeline_{what}_bytes") / 2**20 for what in ("lag", "uncommitted"))
                minute, size = (time.monotonic() - begun) / 60, sizes[-1] / 2**20
                say(f"{minute:6.1f}  {size:13.1f}  {lag:7.1f}  {waiting:16.1f}  {server.cpu_s():5.0f}")
                if is_over:
                    break
            thread.join()
            if fallen:
                raise fallen[0]
            (result,) = results
            say(json.dumps(result))
            say(f"acknowledged in ms: {result['ack_ms']}\nsince they were due: {result['due_ms']}")
            half = len(sizes) // 2
            first, second = (max(part) / 2**20 for part in (sizes[: half or 1], sizes[half:]))
            say(f"anonymous MiB: greatest in the first half {first:.1f}, in the second {second:.1f}")
            say(f"history had read all after {server.wait_for_history(900):.1f} s more")
            # A question has half a gigabyte of memory, which not all ids of half an hour fit.
            counted = common.counts(given.server, data, parts=1 + result["acked"] // 1_000_000)
            say(f"acknowledged {result['acked']}, sql {json.dumps(counted)}")
            server.stop()
    # What was sent without an acknowledgement may be there.
    enough = result["acked"] <= counted["records"] <= result["records"]
    return 0 if enough and counted["records"] == counted["ids"] else 1


if __name__ == "__main__":
    common.run(main)
