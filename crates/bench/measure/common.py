"""What the measuring scripts have in common: a server or a sink as a child process, its CPU time and memory out of /proc,
yardstick, and questions to the data folder. Everything listens on loopback, and only what was started here is ended here."""

import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# How yardstick's values are called here; it leaves out what a protocol does not carry.
FIELDS = (
    "lat=position.latitude", "lon=position.longitude", "speed=position.speed", "course=position.direction",
    "altitude=position.altitude", "satellites=position.satellites", "power=external.power.voltage",
    "ignition=engine.ignition.status", "temp1=temperature.1", "odometer=vehicle.mileage*1000",
)
FIELD_ARGUMENTS = [text for field in FIELDS for text in ("--field", field)]
PROTOCOLS = ("teltonika", "wialon", "gt06")


class Fell(Exception):
    """A program ended otherwise than it should, or took too long."""


def arguments(doc: str, *names: str) -> argparse.ArgumentParser:
    """A parser with the paths that a script needs, by name: server, yardstick."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument(name, type=existing)
    return parser


def existing(text: str) -> pathlib.Path:
    path = pathlib.Path(text).resolve()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} is not there")
    return path


def protocols(text: str) -> list[str]:
    """For an argument that is one protocol, or `all`."""
    if text != "all" and text not in PROTOCOLS:
        raise argparse.ArgumentTypeError(f"one of {', '.join(PROTOCOLS)}, or all")
    return list(PROTOCOLS) if text == "all" else [text]


def run(main) -> None:
    """Runs a script's main function so that what it started ends with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except (Fell, subprocess.TimeoutExpired) as fell:
        sys.exit(f"error: {fell}")
    finally:
        for child in GROUPS.copy():
            end_group(child)


def say(text: str = "") -> None:
    print(text, flush=True)


def work_folder() -> tempfile.TemporaryDirectory:
    """On the disk that TMPDIR says, and gone in the end. It has to be a real disk where time matters."""
    return tempfile.TemporaryDirectory(prefix="odograph-measure-", ignore_cleanup_errors=True)


def free_port() -> int:
    """Not one of the protocols' default ports, and below those that the kernel gives to whoever asks for any."""
    for port in random.sample(range(20_000, 32_000), 200):
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Fell("no port is free")


class Process:
    """A child process. Its output goes to a file, which an error shows the end of."""

    def __init__(self, command: list, log: pathlib.Path, environment: dict | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=os.environ | (environment or {}),
            )
        self.pid = self.child.pid

    def wait_until(self, is_ready, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not is_ready():
            if self.child.poll() is not None:
                raise Fell(f"it ended with status {self.child.returncode} before it was ready: {self.log_end()}")
            if time.monotonic() > end:
                raise Fell(f"it was not ready after {limit_s} s: {self.log_end()}")
            time.sleep(0.02)

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def cpu_s(self) -> float:
        """User and system time so far, of all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def anonymous_bytes(self) -> int:
        """Resident memory that is no copy of a file."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+)", status, re.MULTILINE)[1]) * 1024

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def stop(self) -> None:
        """As an operator does."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Fell(f"it did not stop within {STOP_S_MAX} s: {self.log_end()}") from None
        if self.child.returncode != 0:
            raise Fell(f"it stopped with status {self.child.returncode}: {self.log_end()}")

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        if self.child.poll() is None:
            self.kill()


class Sink(Process):
    """yardstick's bare server; durable with a folder."""

    def __init__(self, yardstick: pathlib.Path, folder: pathlib.Path, durable: bool, protocol: str = "teltonika") -> None:
        self.target = f"127.0.0.1:{free_port()}"
        command = [yardstick, "sink", "--listen", self.target, "--protocol", protocol]
        super().__init__(command + (["--durable", folder / "frames"] if durable else []), folder / "sink.log")
        self.wait_until(lambda: accepts(self.target), READY_S_MAX)


class Server(Process):
    """`odograph serve` over a data folder, with a listener for each protocol."""

    def __init__(self, binary: pathlib.Path, data: pathlib.Path, listening=("teltonika",), environment: dict | None = None) -> None:
        self.binary, self.data = binary, data
        self.targets = {protocol: f"127.0.0.1:{free_port()}" for protocol in listening}
        self.http = f"127.0.0.1:{free_port()}"
        listen = [text for protocol, target in self.targets.items() for text in ("--listen", f"{protocol}={target}")]
        command = [binary, "serve", "--data", data, *listen]
        super().__init__(command, data.parent / "server.log", {"ODOGRAPH_HTTP__LISTEN": self.http, **(environment or {})})
        self.wait_until(self.is_ready, READY_S_MAX)

    @property
    def target(self) -> str:
        return next(iter(self.targets.values()))

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=30) as answer:
            return answer.read().decode()

    def is_ready(self) -> bool:
        try:
            self.get("/readyz")
            return True
        except (urllib.error.URLError, OSError):
            return False

    def metric(self, name: str) -> float:
        """The sum over its labels; 0 where it was never counted."""
        lines = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        return sum(map(float, lines))

    def wait_for_history(self, limit_s: float, committed: bool = False) -> float:
        """Until all that is durable was read, and, if asked to, is in files too. Returns the seconds that it took."""
        begun = time.monotonic()
        names = ["odograph_pipeline_lag_bytes"] + (["odograph_pipeline_uncommitted_bytes"] if committed else [])
        # The metrics are told about once a second: twice at rest is at rest.
        at_rest = 0
        while at_rest < 3:
            at_rest = at_rest + 1 if not any(map(self.metric, names)) else 0
            if time.monotonic() - begun > limit_s:
                raise Fell(f"history is behind after {limit_s} s: {[(name, self.metric(name)) for name in names]}")
            time.sleep(0.5)
        return time.monotonic() - begun


def accepts(target: str) -> bool:
    host, port = target.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False


def asked(server: Server, path: str, token: str) -> str:
    """What the API answers."""
    request = urllib.request.Request(f"http://{server.http}{path}", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def odograph(binary: pathlib.Path, data: pathlib.Path, *words: str, limit_s: float = 900) -> str:
    """Runs a command over a data folder, and gives what it printed."""
    command = [binary, *words, "--data", data]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s)
    if done.returncode != 0:
        raise Fell(f"`{' '.join(words)}` ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def sql(binary: pathlib.Path, data: pathlib.Path, query: str) -> list[dict]:
    end = time.monotonic() + BEHIND_S_MAX
    while True:
        try:
            return [json.loads(line) for line in odograph(binary, data, "sql", "--json", query).splitlines()]
        except Fell as fell:
            # It waits by itself, and says so where that was not enough.
            if "behind" not in str(fell) or time.monotonic() > end:
                raise


def counts(binary: pathlib.Path, data: pathlib.Path, parts: int = 1) -> dict:
    """How many records, and how many different ids: in parts where all ids at once do not fit a question's memory."""
    total = {"records": 0, "ids": 0}
    for part in range(parts):
        which = f" WHERE ((id % {parts}) + {parts}) % {parts} = {part}" if parts > 1 else ""
        (row,) = sql(binary, data, f"SELECT count(*) AS records, count(DISTINCT id) AS ids FROM records{which}")
        total = {name: total[name] + row[name] for name in total}
    return total


def export_records(binary: pathlib.Path, data: pathlib.Path, to: pathlib.Path, limit_s: float = 900) -> None:
    odograph(binary, data, "export", "records", "--format", "jsonl", "-o", str(to), limit_s=limit_s)


def yardstick(binary: pathlib.Path, *words, limit_s: float, passes=(0,)) -> dict:
    """Runs it. Its line of JSON, with the exit status as `status`; its group ends with us, whatever happens."""
    command = [str(binary), *map(str, words)]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    GROUPS.add(child)
    try:
        out, told = child.communicate(timeout=limit_s)
    except BaseException:
        end_group(child)
        raise
    finally:
        GROUPS.discard(child)
    if child.returncode not in passes or not out.strip():
        raise Fell(f"`{' '.join(command[1:])}` ended with status {child.returncode}: {told.strip()[-2000:]}")
    if told.strip():
        print(told.strip()[-2000:], file=sys.stderr, flush=True)
    return json.loads(out.splitlines()[-1]) | {"status": child.returncode}


def end_group(child: subprocess.Popen) -> None:
    """It and what it started. Where it has ended, so has its group, or that is nobody's we know any more."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def median(values) -> float:
    return statistics.median(values)


# Those of yardstick's processes that run, each with a group of its own.
GROUPS: set[subprocess.Popen] = set()
READY_S_MAX = 60
STOP_S_MAX = 120
BEHIND_S_MAX = 1800
