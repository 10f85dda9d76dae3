"""Worker processes for what would hold up the event loop: reading pages, embedding, comparing.

They are this machine's own, or a cluster's. Those of this machine live as long as one run of
research, or while memory uses an encoder. Their lifeline is a pipe: when its other end closes,
because the run is over, was cancelled, or the program was killed, they end at once, in the middle
of whatever they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeAlias, TypeVar

from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

MakeExecutor: TypeAlias = Callable[[], tuple[Executor, Callable[[], None]]]
"""Makes an executor, and what ends its processes at once."""

LONGEST_SECONDS = 10.0
"""The longest that one piece of work may take on this machine."""


class Crew(NamedTuple):
    """An executor, what ends its processes at once, and how many pieces of work it takes."""

    executor: Executor
    end: Callable[[], None]
    free: asyncio.Semaphore
    width: int


class Workers:
    """Runs functions in the processes of an executor; one that breaks is replaced once a job."""

    def __init__(self, make: MakeExecutor, width: int) -> None:
        """Keep how to make an executor of `width` workers.

        Any `concurrent.futures.Executor` will do; one of threads ends nothing. One with a `width`
        of its own is given as much work at a time, one with `longest_seconds` as much time.
        """
        self._make = make
        self._width = width
        self._making = asyncio.Lock()
        self._crew: Crew | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, make: MakeExecutor, width: int) -> AsyncIterator[Workers]:
        """Workers for the length of a block; at its end their processes are gone."""
        workers = cls(make, width)
        try:
            yield workers
        finally:
            await workers.close()

    @property
    def width(self) -> int:
        """How many pieces of work are done at a time."""
        return self._crew.width if self._crew is not None else self._width

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in a worker, and once more in a new one if that worker dies.

        Raises:
            BrokenExecutor: Both died.
            TimeoutError: It took longer than `LONGEST_SECONDS`; the worker was ended.
            Exception: What the function raised.
        """
        try:
            return await self._once(function, *args, **kwargs)
        except BrokenExecutor:
            log.warning("a worker died in %s; it is tried again", function.__name__)
            return await self._once(function, *args, **kwargs)

    async def warm(self, function: Callable[[], object]) -> None:
        """Start the processes and let one do what is slow to begin with; failure shows later."""
        with contextlib.suppress(BrokenExecutor, TimeoutError):
            await self.run(function)

    async def close(self) -> None:
        """End the processes and wait until they are gone."""
        async with self._making:
            crew, self._crew = self._crew, None
        if crew is not None:
            await to_its_end(asyncio.to_thread(_end, crew))

    async def _once(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        crew = await self._ready()
        async with crew.free:
            longest = getattr(crew.executor, "longest_seconds", LONGEST_SECONDS)
            try:
                async with asyncio.timeout(longest):
                    work = partial(function, *args, **kwargs)
                    try:
                        running = asyncio.get_running_loop().run_in_executor(crew.executor, work)
                    except RuntimeError as error:  # it broke while this waited for its turn
                        raise BrokenExecutor(str(error)) from error
                    return await running
            except (BrokenExecutor, TimeoutError):
                crew.end()
                if self._crew is crew:
                    self._crew = None
                await asyncio.to_thread(crew.executor.shutdown, False, cancel_futures=True)
                raise

    async def _ready(self) -> Crew:
        def make() -> Crew:
            executor, end = self._make()
            width = getattr(executor, "width", self._width)
            self._crew = Crew(executor, end, asyncio.Semaphore(width), width)
            return self._crew

        async with self._making:
            # In a thread, because a cluster may be slow to answer; and what is made has an owner.
            crew = self._crew
            return crew if crew is not None else await to_its_end(asyncio.to_thread(make))


def _end(crew: Crew) -> None:
    crew.end()
    crew.executor.shutdown(wait=True)


def processes(count: int, niceness: int = 0) -> tuple[Executor, Callable[[], None]]:
    """An executor of `count` fresh processes, and what ends them at once.

    With a `niceness` from 1 to 19 they give way to everything else, where the system knows that.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    _start_tracker()
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
    far, near = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin_worker, initargs=(far, niceness)
    )
    return executor, near.close


def _start_tracker() -> None:
    """Start the process that tidies up after multiprocessing, with a standard error of its own.

    It is handed the standard error of this process, which has no descriptor where a screen has
    taken its place.
    """
    import os

    if os.name == "posix":
        from multiprocessing import resource_tracker

        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            resource_tracker.ensure_running()


def _begin_worker(lifeline: Connection, niceness: int) -> None:
    """Make a new process quiet, bounded, and bound to its parent's life."""
    import os
    import signal
    import sys
    import threading

    for library in ("OPENBLAS", "OMP", "MKL", "VECLIB"):  # there is a process for each core
        os.environ[f"{library}_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    with open(os.devnull, "r+b") as nowhere:
        for stream in (0, 1, 2):  # what a library prints would land on the screen
            os.dup2(nowhere.fileno(), stream)

    if sys.platform == "linux":
        # The kernel's SIGIO ends even a process in which a library holds Python's lock. An opening
        # of its own, because a pipe's owner is told for each opening.
        import fcntl

        own = os.open(f"/proc/self/fd/{lifeline.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(own, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)

    def end_with_parent() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
