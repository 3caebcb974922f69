"""Shows that the journal gives back a conversation to the byte: captured messages are sent in random pieces over real sockets, and
what went both ways is compared with `odograph export frames --format raw`.

    raw.py SERVER VECTORS_DIR [--seed 1]

VECTORS_DIR holds messages.jsonl. Of teltonika, wialon and gt06, four connections each, every one a device of its own that logs in
first and then sends all the protocol's TCP messages (but logins, and datagrams that name a device: a connection is one device's
here), in an order of its own: those that are whole first, then those that were cut, because a server may well hang up at these.
A line for each connection and direction: `equal`, or that the shorter one is a prefix of N bytes of the other because the server
hung up: then it need not have read all that was sent, nor the client all that was answered. Exit status 1: anything else.
"""

import json
import random
import socket
import time

import common
import trackers
from common import PROTOCOLS, Server, say

CONNECTIONS = 4


def messages(vectors, protocol: str) -> tuple[list[bytes], list[bytes]]:
    """Those that are whole, and the others."""
    whole, others = [], []
    for line in (vectors / "messages.jsonl").open():
        row = json.loads(line)
        if row["protocol"] != protocol or row["transport"] != "tcp":
            continue
        if row["encoding"] == "hex":
            payload = bytes.fromhex(row["payload"])
        else:
            # Without its delimiter, as the corpus says.
            payload = row["payload"].encode(row.get("charset", "utf-8")) + b"\r\n"
        # Wialon's that begin with a device's id are datagrams, and what follows them is that device's.
        is_datagram = protocol == "wialon" and not payload.startswith(b"#")
        if not is_login(protocol, payload) and not is_datagram:
            (whole if is_whole(protocol, payload) else others).append(payload)
    return whole, others


def is_login(protocol: str, payload: bytes) -> bool:
    if protocol == "teltonika":
        return payload.removeprefix(b"\xff")[:2] == b"\x00\x0f"
    if protocol == "gt06":
        return payload[:2] == b"\x78\x78" and payload[3:4] == b"\x01"
    return b"#L#" in payload


def is_whole(protocol: str, payload: bytes) -> bool:
    if protocol == "teltonika":
        return len(payload) >= 12 and payload[:4] == bytes(4) and len(payload) == 12 + int.from_bytes(payload[4:8])
    if protocol == "gt06":
        short, long = payload[:2] == b"\x78\x78", payload[:2] == b"\x79\x79"
        length = payload[2] + 5 if short else int.from_bytes(payload[2:4]) + 6
        return (short or long) and len(payload) == length
    return True


def converse(target: str, login: bytes, payloads: list[bytes], dice: random.Random) -> tuple[bytes, bytes, bool]:
    """What was sent, what came, and whether the server hung up before the end."""
    host, port = target.split(":")
    sent, came, ended = bytearray(), bytearray(), False
    with socket.create_connection((host, int(port)), 10) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting = login + b"".join(payloads)

        def listen(limit_s: float) -> None:
            nonlocal ended
            peer.settimeout(limit_s)
            try:
                while piece := peer.recv(65_536):
                    came.extend(piece)
                ended = True
            except (TimeoutError, BlockingIOError):
                pass
            except OSError:
                ended = True

        while waiting and not ended:
            piece = waiting[: cut(dice)]
            peer.settimeout(10)
            try:
                count = peer.send(piece)
            except OSError:
                ended = True
                break
            sent += piece[:count]
            waiting = waiting[count:]
            listen(dice.choice((0.0, 0.0, 0.0005, 0.003)))
        hung_up = ended
        listen(1.0)
        if not ended:
            # All that will be answered was answered: a device hangs up, and reads to the end.
            peer.shutdown(socket.SHUT_WR)
            listen(5.0)
    return bytes(sent), bytes(came), hung_up


def cut(dice: random.Random) -> int:
    """Now a byte, now half a message, now several."""
    return dice.choice((1, dice.randrange(1, 12), dice.randrange(1, 200), dice.randrange(1, 3000)))


def compare(mine: bytes, exported: bytes, hung_up: bool, way: str) -> tuple[bool, str]:
    """`in`: what was exported is what was sent, or its beginning. `out`: what came is what was exported, or its beginning."""
    if mine == exported:
        return True, f"equal, {len(mine)} bytes"
    shorter, longer = (exported, mine) if way == "in" else (mine, exported)
    if hung_up and longer.startswith(shorter):
        return True, f"a prefix of {len(shorter)} bytes of {len(longer)} (the server had hung up)"
    at = next((place for place, (one, other) in enumerate(zip(mine, exported)) if one != other), min(len(mine), len(exported)))
    return False, f"DIFFERS at byte {at}: here {len(mine)} bytes, exported {len(exported)}"


def main() -> int:
    parser = common.arguments(__doc__, "server", "vectors")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    is_right = True
    with common.work_folder() as name:
        data = common.pathlib.Path(name) / "data"
        with Server(given.server, data, PROTOCOLS) as server:
            for number, (protocol, target) in enumerate(server.targets.items()):
                whole, others = messages(given.vectors, protocol)
                for connection in range(CONNECTIONS):
                    dice = random.Random(f"{given.seed} {protocol} {connection}")
                    imei = f"{356_900_000_000_000 + number * 100 + connection}"
                    # Half of wialon's speak version 2.0, where each message ends with a checksum.
                    login = trackers.login(protocol, imei, "2.0" if connection % 2 else "")
                    order = dice.sample(whole, len(whole)) + dice.sample(others, len(others))
                    sent, came, hung_up = converse(target, login, order, dice)
                    # The close has to be in the journal before its conversation is asked for.
                    time.sleep(0.5)
                    for way, mine in (("in", sent), ("out", came)):
                        fits, told = compare(mine, export(given.server, data, imei, way), hung_up, way)
                        is_right &= fits
                        say(f"{protocol:<10} {imei} {way:<3} {len(order):>3} messages: {told}")
            server.stop()
    return 0 if is_right else 1


def export(binary, data, imei: str, way: str) -> bytes:
    command = [binary, "export", "frames", "--data", data, "--device", imei, "--direction", way, "--format", "raw"]
    done = common.subprocess.run(command, stdin=common.subprocess.DEVNULL, capture_output=True, timeout=300)
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip()
        raise common.Fell(f"the export of {imei} ended with status {done.returncode}: {told}")
    return done.stdout


if __name__ == "__main__":
    common.run(main)
