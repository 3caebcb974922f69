"""Abuses a server in all of yardstick's ways, by all three protocols, and says whether an ordinary device can still log in.

    hostile.py SERVER YARDSTICK [--attackers 1000] [--seconds 6] [--kinds slowloris,garbage]

One server takes all of it, one after the other. A line each: exit status (0: a device could log in within a second afterwards),
whether the server lives, what a login took during and after the abuse in ms, and the server's resident memory. Exit status
1: one of them failed, or the server did not stop in peace.
"""

import common
from common import PROTOCOLS, Server, say

KINDS = ("slowloris", "garbage", "truncated", "oversized", "flood-connect", "random-frames")


def main() -> int:
    parser = common.arguments(__doc__, "server", "yardstick")
    parser.add_argument("--attackers", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    given = parser.parse_args()
    is_right = True
    with common.work_folder() as name:
        with Server(given.server, common.pathlib.Path(name) / "data", PROTOCOLS) as server:
            say(f"{'protocol':<10} {'kind':<14} {'status':>6} {'alive':>5} {'login_during_ms':>15} {'login_ms':>9} "
                f"{'RSS MiB before, during, after':>30}")
            for protocol, target in server.targets.items():
                for kind in given.kinds:
                    result = common.yardstick(
                        given.yardstick, "hostile", "--target", target, "--protocol", protocol, "--kind", kind,
                        "--count", given.attackers, "--duration", given.seconds, "--server-pid", server.pid,
                        limit_s=given.seconds + 120, passes=(0, 1),
                    )
                    alive = server.child.poll() is None
                    is_right &= alive and result["status"] == 0
                    sizes = [result[f"server_{when}"] for when in ("before", "during", "after")]
                    memory = " ".join(f"{size['rss_bytes'] / 2**20:8.1f}" if size else "       -" for size in sizes)
                    say(f"{protocol:<10} {kind:<14} {result['status']:>6} {'yes' if alive and result['server_alive'] else 'NO':>5} "
                        f"{result['login_during_ms'] or '-':>15} {result['login_ms'] or '-':>9} {memory:>30}")
            server.stop()
    return 0 if is_right else 1


if __name__ == "__main__":
    common.run(main)
