"""What goes wrong around the app while the pilot uses it, each for a moment."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from unittest import mock

import psutil

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from textual.pilot import Pilot

    from tests.engine.research.server import Server

SIZES = ((120, 40), (80, 24), (200, 60), (40, 12), (100, 30))
CHILD_SECONDS = 20.0
"""For so long it is waited for a child: the question to it may have come back."""

FULL_BYTES = 4096
"""No file grows beyond this while the disk is full: a write-ahead log takes no page then."""

FREEZE = """
import os, signal, sys, time
os.kill(int(sys.argv[1]), signal.SIGSTOP)
time.sleep(float(sys.argv[2]))
os.kill(int(sys.argv[1]), signal.SIGCONT)
"""


class Faults:
    """Lets things fail, each by a method that takes what decides on its details.

    Attributes:
        happened: How often each came about.
    """

    def __init__(
        self, database: Path, server: Server, services: Server, pilot: Pilot[None], *, freeze: bool
    ) -> None:
        """Args:
        database: The file that is locked.
        server: Where models run.
        services: What research asks.
        pilot: Resizes the terminal.
        freeze: Whether this process may be stopped; a shell would take that as a wish for it.
        """
        self.happened: Counter[str] = Counter()
        self._database = database
        self._server = server
        self._services = services
        self._pilot = pilot
        self._freeze = freeze
        self._running: dict[str, asyncio.Task[None]] = {}

    async def begin(self, name: str, chance: random.Random) -> None:
        """Let something fail from now on, for a while; once it failed the last time no more."""
        if (before := self._running.pop(name, None)) is not None:
            await before
        self._running[name] = asyncio.create_task(getattr(self, name)(chance), name=name)

    async def over(self) -> None:
        """Wait until all is well again."""
        while self._running:
            _, task = self._running.popitem()
            await task

    async def server_killed(self, chance: random.Random) -> None:
        await self._killed(self._server, chance.uniform(0.2, 3))
        self.happened["server_killed"] += 1

    async def services_killed(self, chance: random.Random) -> None:
        await self._killed(self._services, chance.uniform(0.2, 3))
        self.happened["services_killed"] += 1

    async def _killed(self, server: Server, seconds: float) -> None:
        server.kill()
        await asyncio.sleep(seconds)
        await server.start()

    async def child_killed(self, chance: random.Random) -> None:
        await self._signal_child("child_killed", signal.SIGKILL, chance.uniform(0, 2))

    async def child_stopped(self, chance: random.Random) -> None:
        """It is never let go on: it has to be found out and ended."""
        await self._signal_child("child_stopped", signal.SIGSTOP, chance.uniform(0, 2))

    async def _signal_child(self, name: str, number: signal.Signals, seconds: float) -> None:
        """Send a signal to the process of the embedded model; it is waited for."""
        await asyncio.sleep(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(CHILD_SECONDS):
                while not (found := [one for one in psutil.Process().children() if _is_model(one)]):
                    await asyncio.sleep(0.05)
            for child in found:
                with suppress(psutil.NoSuchProcess):
                    child.send_signal(number)
                    self.happened[name] += 1

    async def locked(self, chance: random.Random) -> None:
        """Another process keeps the database for itself."""
        await asyncio.to_thread(self._lock, chance.uniform(0.05, 1.0))
        self.happened["locked"] += 1

    def _lock(self, seconds: float) -> None:
        with closing(sqlite3.connect(self._database, isolation_level=None, timeout=10)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # the disk is full
                return
            time.sleep(seconds)
            other.execute("ROLLBACK")

    async def disk_full(self, chance: random.Random) -> None:
        """No file of this process can grow."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
        try:
            await asyncio.sleep(chance.uniform(0.1, 1.0))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.happened["disk_full"] += 1

    async def clock_back(self, chance: random.Random) -> None:
        with _clock_set_back(chance.uniform(1, 86_400)):
            await asyncio.sleep(chance.uniform(0.2, 2))
        self.happened["clock_back"] += 1

    async def resize_storm(self, chance: random.Random) -> None:
        for size in chance.choices(SIZES, k=12):
            await self._pilot.resize_terminal(*size)
        self.happened["resize_storm"] += 1

    async def frozen(self, chance: random.Random) -> None:
        """This process is stopped and goes on, as by ctrl+z and fg."""
        if not self._freeze:
            return
        seconds = chance.uniform(0.1, 1.0)
        command = [sys.executable, "-S", "-c", FREEZE, str(os.getpid()), str(seconds)]
        await (await asyncio.create_subprocess_exec(*command)).wait()
        self.happened["frozen"] += 1


def _is_model(process: psutil.Process) -> bool:
    try:
        return "--alias" in process.cmdline()
    except psutil.Error:  # it ends this moment
        return False


@contextmanager
def _clock_set_back(seconds: float) -> Iterator[None]:
    """A stand-in: the machine's clock is not a test's to set."""
    real = time.time

    def earlier() -> float:
        return real() - seconds

    with mock.patch("time.time", earlier):
        yield
