"""What it takes to back up a large catalog in PostgreSQL, and to put it back: time, processor time, and the most memory at once.

    catalog.py SERVER [--devices 200000] [--entries 1000000] [--commands 500000]

Starts a PostgreSQL of its own out of the folder of programs that TEST_POSTGRES names, or the newest that is installed, fills a catalog with so
many devices, entries of the audit log and commands, and makes a backup of it while another connection changes a device as fast as
it can: the slowest of its changes is shown, too. Then it restores into a second, empty database. Exit status 1: a table has not as many
rows there as it had.
"""

import json
import os
import pathlib
import subprocess
import threading
import time

import common
from common import Fell, Process, say

# What is counted afterwards.
TABLES = ("tenants", "devices", "device_ids", "audit", "commands")

FILL = """
INSERT INTO devices (tenant, id, ids, name, plate, tags, protocol, settings, notes, attributes, state, sort_key, search, created,
    updated, revision)
  SELECT 'default', id, '["' || id || '"]', 'Truck ' || number, 'B-TR ' || number, '[]', 'teltonika', '{}', repeat('note ', 8), '{}',
    'accepted', 'truck ' || number, 'truck ' || number || ' ' || id, 0, 0, number
  FROM (SELECT number, (350000000000000 + number)::text AS id FROM generate_series(1, DEVICES) AS number) AS device;
INSERT INTO device_ids (tenant, id, device) SELECT tenant, id, id FROM devices;
INSERT INTO audit (tenant, seq, time, actor_kind, actor_id, actor_name, peer, action, kind, object, was, became)
  SELECT 'default', 1000 + number, 0, 'user', 'u1', 'anna', '192.0.2.7', 'device.update', 'device', (350000000000001 + number % DEVICES)::text,
    '{"notes":"' || repeat('before ', 20) || '"}', '{"notes":"' || repeat('after ', 20) || '"}'
  FROM generate_series(1, ENTRIES) AS number;
INSERT INTO commands (tenant, number, device, name, attributes, repeatable, state, created, created_by, expires, attempts, holder, reason,
    sent, answered, answer, ended)
  SELECT 'default', number, (350000000000001 + number % DEVICES)::text, 'custom', '{"text":"getinfo"}', 0, 'answered', 0, 'anna', 1, 1, '', '', 0, 0,
    repeat('INI:2026/1/1 RTC:2026/1/1 ', 4), 0
  FROM generate_series(1, COMMANDS) AS number;
UPDATE revisions SET changed = DEVICES, audited = 1000 + ENTRIES, commands = COMMANDS WHERE tenant = 'default';
ANALYZE;
"""
CHANGE = "UPDATE devices SET updated = updated + 1 WHERE tenant = 'default' AND id = '350000000000001';"


class Postgres(Process):
    """A server that listens in a folder alone."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.programs, self.folder = programs(), folder
        # It does not run as root: then it runs as the user that its package made.
        self.words = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.words:
            folder.parent.chmod(0o755)
            subprocess.run(["chown", "postgres", folder], check=True)
        data, log = folder / "data", folder.parent / "postgres.log"
        init = [self.programs / "initdb", "-D", data, "-U", "catalog", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*self.words, *init], check=True, stdout=subprocess.DEVNULL, cwd="/")
        command = [self.programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
        super().__init__([*self.words, *command], log)
        self.wait_until(lambda: self.psql("SELECT 1", "postgres", True) == "1", common.READY_S_MAX)

    def url(self, database: str) -> str:
        return f"postgres://catalog@localhost/{database}?host={self.folder}"

    def psql(self, text: str, database: str, may_fail: bool = False) -> str:
        command = [self.programs / "psql", "-h", self.folder, "-U", "catalog", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd="/")
        if done.returncode != 0 and not may_fail:
            raise Fell(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def counts(self, database: str) -> dict:
        return {table: int(self.psql(f"SELECT count(*) FROM {table}", database)) for table in TABLES}


def programs() -> pathlib.Path:
    named = os.environ.get("TEST_POSTGRES")
    found = [pathlib.Path(named)] if named else list(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise Fell("TEST_POSTGRES names no folder, and no PostgreSQL is installed")
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()])


class Changer(threading.Thread):
    """Changes a device again and again over one connection, and keeps how long the slowest change took."""

    def __init__(self, postgres: Postgres, database: str) -> None:
        super().__init__(daemon=True)
        self.ends, self.count, self.slowest_s = threading.Event(), 0, 0.0
        command = [postgres.programs / "psql", "-h", postgres.folder, "-U", "catalog", "-d", database, "-qAtX"]
        self.psql = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")

    def run(self) -> None:
        while not self.ends.is_set():
            begun = time.monotonic()
            self.psql.stdin.write(f"{CHANGE} SELECT 1;\n")
            self.psql.stdin.flush()
            self.psql.stdout.readline()
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            self.count += 1
            # As one does who has other things to do: the processor is not what is measured.
            self.ends.wait(0.01)

    def end(self) -> None:
        self.ends.set()
        self.join()
        self.psql.stdin.close()
        self.psql.wait()


def measured(what: str, binary: pathlib.Path, data: pathlib.Path, url: str, *words) -> None:
    begun = time.monotonic()
    command = [str(part) for part in (binary, *words, "--data", data)]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ | {"ODOGRAPH_CATALOG__URL": url}
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise Fell(f"{what} ended with status {child.returncode}")
    seconds, cpu_s = time.monotonic() - begun, used.ru_utime + used.ru_stime
    say(f"{what:<8} {seconds:7.1f} s, {cpu_s:6.1f} s of processor time, {used.ru_maxrss / 1024:6.0f} MiB of memory at most")


def main() -> int:
    parser = common.arguments(__doc__, "server")
    for name, count in (("devices", 200_000), ("entries", 1_000_000), ("commands", 500_000)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    with common.work_folder() as name:
        folder = pathlib.Path(name)
        (folder / "postgres").mkdir()
        with Postgres(folder / "postgres") as postgres:
            for database in ("origin", "restored"):
                postgres.psql(f"CREATE DATABASE {database}", "postgres")
            data, origin, to = folder / "data", postgres.url("origin"), folder / "backups"
            environment = {"ODOGRAPH_CATALOG__URL": origin}
            # It makes the tables and the tenant.
            with common.Server(given.server, data, environment=environment) as server:
                server.stop()
            # Nothing is there yet of what it is about.
            fill = FILL
            for number in ("devices", "entries", "commands"):
                fill = fill.replace(number.upper(), str(getattr(given, number)))
            measured("nothing", given.server, data, origin, "backup", "--to", to)
            postgres.psql(fill, "origin")
            say(json.dumps(postgres.counts("origin")))
            changer = Changer(postgres, "origin")
            changer.start()
            measured("backup", given.server, data, origin, "backup", "--to", to)
            changer.end()
            say(f"meanwhile {changer.count} changes, the slowest {changer.slowest_s * 1e3:.0f} ms")
            say(f"in the backup {sum(path.stat().st_size for path in to.rglob('*') if path.is_file()) >> 20} MiB")
            measured("restore", given.server, folder / "restored", postgres.url("restored"), "restore", "--from", to)
            expected, found = postgres.counts("origin"), postgres.counts("restored")
            # The restore itself is an entry of each tenant's log.
            found["audit"] -= found["tenants"]
            say("all rows are there" if found == expected else f"there are {found}")
            return 0 if found == expected else 1


if __name__ == "__main__":
    common.run(main)
