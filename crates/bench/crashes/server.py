"""An `odograph serve` that is watched by its log, and killed when that says that a step is under way."""

import json
import pathlib
import random
import signal
import statistics
import subprocess
import threading
import time
from datetime import datetime

STEPS = (
    "flush", "commit", "compaction", "checkpoint", "save", "retention", "log clean-up", "vacuum", "seal", "segment removal",
)


class Steps:
    """Which steps are under way, by the log, and how long they took."""

    def __init__(self) -> None:
        self.under_way: dict[tuple[str, str], float] = {}
        self.last: tuple[str, str] | None = None
        self.took: dict[str, list[float]] = {step: [] for step in STEPS}

    def read(self, line: dict) -> str | None:
        """Takes a line. Returns the step that begins with it."""
        step, place = line["step"], line.get("table") or line.get("base")
        at = datetime.fromisoformat(line["timestamp"]).timestamp()
        if line["message"] == "begins":
            self.under_way[step, place] = at
            self.last = (step, place)
            return step
        begun = self.under_way.pop((step, place), None)
        if begun is not None:
            self.took[step].append(at - begun)
        return None

    def interrupted(self, at: float) -> dict[str, float]:
        """What a kill at a moment interrupted, with how long that had been under way. A step of which the end was perhaps
        only not told any more does not count: one that had been under way for longer than any other of its kind."""
        ages: dict[str, float] = {}
        for (step, _), begun in self.under_way.items():
            if at - begun <= max(self.took[step], default=0.0) + TOLD_S:
                ages[step] = max(at - begun, ages.get(step, 0.0))
        return ages

    def usual(self, step: str) -> float:
        return statistics.median(self.took[step][-100:]) if self.took[step] else 0.0


class Server:
    def __init__(self, binary: pathlib.Path, folder: pathlib.Path, settings: str) -> None:
        self.binary, self.data, self.log = binary, folder / "data", folder / "log"
        self.config = folder / "odograph.toml"
        self.config.write_text(f"data = '{self.data}'\n{settings}")
        self.ports: dict[str, int] = {}
        self.steps = Steps()
        self.process: subprocess.Popen | None = None
        self.wanted: set[str] = set()
        self.killed_at: float | None = None
        self.told: dict[str, int] = {}
        self.dice = random.Random(7)

    def start(self) -> None:
        self.ports.clear()
        self.steps.under_way.clear()
        self.steps.last, self.wanted, self.killed_at = None, set(), None
        self.ready = threading.Event()
        command = [self.binary, "serve", "--config", self.config]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read, args=(self.process,), daemon=True)
        self.thread.start()

    def read(self, process: subprocess.Popen) -> None:
        with self.log.open("ab") as log:
            for text in process.stderr:
                log.write(text)
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                if "step" in line:
                    begun = self.steps.read(line)
                    if begun in self.wanted:
                        # Anywhere in the step, and a little behind what is usual.
                        pause = self.dice.uniform(0, 1.1) * min(self.steps.usual(begun), PAUSE_S_MAX)
                        self.wanted = set()
                        time.sleep(pause)
                        self.kill()
                    continue
                message = line.get("message", "")
                if message == "listening" and line.get("transport") == "tcp":
                    self.ports[line["protocol"]] = int(line["address"].rsplit(":", 1)[1])
                elif message == "ready":
                    self.ready.set()
                if line["level"] in ("ERROR", "WARN") or message in TOLD:
                    self.told[message] = self.told.get(message, 0) + 1

    def kill(self) -> None:
        if self.killed_at is None:
            self.killed_at = time.time()
            self.process.send_signal(signal.SIGKILL)

    def after_kill(self) -> dict[str, float]:
        """Waits for its end. Returns what was interrupted."""
        self.process.wait()
        self.thread.join()
        self.ports.clear()
        if self.process.returncode != -signal.SIGKILL:
            raise Fell(f"the server ended by itself, with status {self.process.returncode}: see {self.log}")
        return self.steps.interrupted(self.killed_at)

    def stop(self) -> None:
        """Ends it as an operator does."""
        self.process.terminate()
        status = self.process.wait(timeout=STOP_S_MAX)
        self.thread.join()
        self.ports.clear()
        if status != 0:
            raise Fell(f"the server stopped with status {status}: see {self.log}")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        """Leaves nothing running, whatever went wrong."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def resident_bytes(self) -> int:
        """Without what is only a copy of files: the program itself."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise Fell("the server has no resident memory")

    def run(self, *arguments: str, status: int = 0) -> str:
        """Runs another command on the same data."""
        done = subprocess.run(
            [self.binary, *arguments, "--config", self.config], capture_output=True, text=True, timeout=COMMAND_S_MAX
        )
        if done.returncode != status:
            raise Fell(f"{arguments[:2]} ended with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def sql(self, query: str) -> list[dict]:
        end = time.monotonic() + BEHIND_S_MAX
        while True:
            try:
                return [json.loads(line) for line in self.run("sql", "--json", query).splitlines()]
            except Fell as fell:
                # It waits by itself, and says so when that is not enough: on a machine that is busy otherwise.
                if "behind" not in str(fell) or time.monotonic() > end:
                    raise


class Fell(Exception):
    """The server, or a command, ended otherwise than it should."""


# So much may pass between a step's end and its line in the log.
TOLD_S = 0.002
PAUSE_S_MAX = 0.25
STOP_S_MAX = 60
BEHIND_S_MAX = 180
COMMAND_S_MAX = 300
TOLD = ("days that are not kept any more went", "journal segment removed", "journal segment sealed")
