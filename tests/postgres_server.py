"""A real PostgreSQL server for the tests, on loopback, by a user without privileges.

It is Debian's (`apt-get install postgresql`), or any other whose programs are found on the PATH or
in `SCRUBJAY_TEST_POSTGRES_BIN`, or that of the Python package `pgserver`, which brings pgvector.
Nothing is forced to the disk (`fsync=off`): what the tests kill are processes, and not the machine.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from storage.postgres.address import Address
from storage.postgres.store import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = ("postgres", "nobody")
"""Who runs the server where root runs the tests: it refuses to run as root."""

DEADLINE_SECONDS = 60.0

SETTINGS = {
    "fsync": "off",
    # What is acknowledged has to be safe all the same.
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
    "restart_after_crash": "on",
}


def programs(*, vectors: bool = False) -> Path | None:
    """The folder with the server's programs, of one that has pgvector if that is wanted."""
    places = [os.environ.get("SCRUBJAY_TEST_POSTGRES_BIN", "")]
    places += map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    if found := shutil.which("initdb"):
        places.append(str(Path(found).resolve().parent))
    if (package := find_spec("pgserver")) and package.origin:
        places.append(str(Path(package.origin).parent / "pginstall" / "bin"))
    for place in map(Path, filter(None, places)):
        if (place / "initdb").is_file() and (not vectors or _has_pgvector(place)):
            return place
    return None


class Server:
    """A server in a folder of its own, on a port of its own."""

    def __init__(self, bin_dir: Path, *, durable: bool = False) -> None:
        self._bin = bin_dir
        self._settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        if not durable:
            self._settings |= SETTINGS
        self._user = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="scrubjay-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._shared: Address | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._user is not None:
            # What the server runs may lie where only root may look.
            self._bin = self._readable(bin_dir)
            shutil.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        try:
            initdb = ("--username=jay", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")
            secret = self._folder / "secret"
            secret.write_text("corvid")
            if self._user is not None:
                shutil.chown(secret, self._user.pw_uid)
            self.run(
                "initdb", *initdb, "--locale=C.UTF-8", f"--pwfile={secret}", f"--pgdata={self.data}"
            )
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def data(self) -> Path:
        return self._folder / "data"

    def address(self, database: str = "postgres", user: str = "jay") -> Address:
        return Address(
            url=f"postgresql://{user}@127.0.0.1:{self.port}/{database}", password="corvid"
        )

    def database(self) -> Address:
        """A new, empty database."""
        self._databases += 1
        name = f"jay{self._databases}"
        self.sql(f"CREATE DATABASE {name}")
        return self.address(name)

    def cleared(self) -> Address:
        """The database that tests share, emptied: that takes a tenth of the time of a new one."""
        if self._shared is None:
            self._shared = self.database()
        else:
            self.sql(_CLEAR, self._shared.database)
        return self._shared

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the server's owner."""
        import psycopg

        address = self.address(database)
        with psycopg.connect(address.url, password=address.password, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        self._process = self._popen(
            *("postgres", "-D", str(self.data), "-p", str(self.port), *settings)
        )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), fail=False):
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self._folder / "log").read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{log[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server, its clients' connections and all."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(DEADLINE_SECONDS)

    def kill(self) -> None:
        """Kill the server and all its processes, as a power cut would."""
        assert self._process is not None
        everything = self._processes()
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(DEADLINE_SECONDS)
        psutil.wait_procs(everything, DEADLINE_SECONDS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def kill_backends(self) -> int:
        """Kill the processes that serve clients; the server starts itself afresh after that."""
        assert self._process is not None
        killed = 0
        for process in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "127.0.0.1" in " ".join(process.cmdline()):
                    process.kill()
                    killed += 1
        return killed

    def freeze(self) -> None:
        """Stop all processes of the server where they are; their connections stay open."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, program: str, *arguments: str, fail: bool = True) -> int:
        done = self._popen(program, *arguments)
        status = done.wait(DEADLINE_SECONDS)
        if status and fail:
            log = (self._folder / "log").read_text(errors="replace")
            raise RuntimeError(f"{program} failed:\n{log[-4000:]}")
        return status

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        user = self._user
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._bin / program, *arguments],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
                user=user and user.pw_uid,
                group=user and user.pw_gid,
                extra_groups=user and [],
            )

    def _readable(self, bin_dir: Path) -> Path:
        assert self._user is not None
        there = (
            subprocess.run(
                [bin_dir / "postgres", "--version"],
                capture_output=True,
                check=False,
                user=self._user.pw_uid,
                group=self._user.pw_gid,
                extra_groups=[],
            )
            if os.access(bin_dir, os.X_OK) and _others_may_enter(bin_dir)
            else None
        )
        if there is not None and there.returncode == 0:
            return bin_dir
        copy = Path(tempfile.gettempdir()) / self._folder.name / "program"
        shutil.copytree(bin_dir.parent, copy, symlinks=True)
        return copy / "bin"


# Deleted and not truncated, which makes new files of every index; triggers are left out.
_CLEAR = f"""
    DO $$
    DECLARE
        counter record;
    BEGIN
        IF to_regclass('scrubjay.schema_version') IS NULL THEN RETURN; END IF;
        SET LOCAL session_replication_role = replica;
        {" ".join(f"DELETE FROM scrubjay.{table};" for table in TABLES)}
        INSERT INTO scrubjay.figures VALUES ('sessions', 0), ('messages', 0);
        FOR counter IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'scrubjay' LOOP
            PERFORM setval('scrubjay.' || counter.sequencename, 1, FALSE);
        END LOOP;
    END $$
"""


@functools.cache
def _has_pgvector(bin_dir: Path) -> bool:
    told = subprocess.run(
        [bin_dir / "pg_config", "--sharedir"], capture_output=True, check=False, text=True
    )
    return (Path(told.stdout.strip()) / "extension" / "vector.control").is_file()


def _others_may_enter(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("There is no user without privileges to run PostgreSQL.")


@contextlib.contextmanager
def running(bin_dir: Path, *, durable: bool = False) -> Iterator[Server]:
    """A server for the length of the block; a durable one is set as servers usually are."""
    server = Server(bin_dir, durable=durable)
    try:
        yield server
    finally:
        server.close()
