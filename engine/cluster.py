"""A Dask cluster as the workers, where the settings name one; else this machine's processes.

Dask schedules the work, and does that of a lost worker again on another (Rocklin 2015, “Dask:
parallel computation with blocked algorithms and task scheduling”). What is sent there are functions
of this package by name, and plain data, so its workers need the same Scrubjay.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from engine import __version__
from engine.workers import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

    from engine.config import WorkerSettings
    from engine.workers import MakeExecutor

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 3.0
"""The longest that the scheduler may take to answer."""

AHEAD = 4
"""Pieces of work for each thread of the cluster, so that it does not wait for the next one."""

LONGEST_SECONDS = 120.0
"""The longest that one piece may take with its time in line, or with a worker that was lost."""

BEAT_SECONDS = 1.0
"""Between two looks at whether there is still a cluster."""


class ClusterError(Exception):
    """The cluster can't be used; the message says why, as a sentence."""


def maker(
    settings: WorkerSettings, tell: Callable[[str], None], count: int, niceness: int = 0
) -> MakeExecutor:
    """What makes the executor that the settings want.

    Args:
        settings: Which one that is.
        tell: Told, from any thread, why it is not the cluster; this machine then does the work.
        count: How many processes of this machine that takes.
        niceness: How much they give way to others, from 0 to 19.
    """
    local = partial(processes, count, niceness)
    if settings.executor == "processes":
        return local

    def make() -> tuple[Executor, Callable[[], None]]:
        try:
            cluster = connect(settings.scheduler)
        except ClusterError as error:
            tell(f"{error} This machine's own processes do the work.")
            return local()
        return cluster, cluster.end

    return make


def connect(scheduler: str) -> Cluster:
    """The cluster of a scheduler. Takes a second or two; not for the event loop.

    Raises:
        ClusterError: There is none, or it has no workers that know this Scrubjay.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError(
            "Dask is not installed here; `pip install 'scrubjay[cluster]'` brings it."
        ) from None
    _be_quiet()
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False, name="scrubjay")
    except (OSError, ValueError) as error:
        log.warning("no Dask cluster: %s", type(error).__name__)
        raise ClusterError(f"No Dask scheduler answers at {scheduler}.") from None
    try:
        return Cluster(client, _threads(client, scheduler))
    except BaseException:
        client.close(timeout=CONNECT_SECONDS)
        raise


class Cluster(Executor):
    """Dask's own executor, with the manners of the standard library's.

    That is, nothing it is asked blocks whoever asks, and work whose cluster is gone fails with
    `BrokenExecutor`.

    Attributes:
        width: How many pieces of work keep all of its threads busy.
        longest_seconds: How long each may take.
    """

    longest_seconds = LONGEST_SECONDS

    def __init__(self, client: Client, threads: int) -> None:
        self.threads = threads
        self.width = AHEAD * threads
        self._client = client
        self._dask = client.get_executor(pure=False)
        self._open: dict[Future[Any], Future[Any]] = {}
        """What was asked for, and the work that Dask makes of it. Who takes a pair out ends it."""

        self._inbox: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
        self._over = False
        self._keeper = threading.Thread(target=self._keep, name="cluster", daemon=True)
        self._keeper.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called by a worker."""
        if self._over:
            raise BrokenExecutor("the connection to the cluster is closed")
        asked: Future[T] = Future()
        work: Future[T] = self._dask.submit(fn, *args, **kwargs)
        if not self._open:
            self._inbox.put(None)  # there is something to watch over from now on
        self._open[asked] = work
        asked.add_done_callback(self._asked_is_over)
        work.add_done_callback(partial(self._work_is_over, asked))
        return asked

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster."""
        self.end()
        if wait:
            self._keeper.join(2 * CONNECT_SECONDS)

    def end(self) -> None:
        """Let go of the cluster at once; work that is not done is dropped."""
        self._over = True
        self._inbox.put(None)

    def _work_is_over(self, asked: Future[T], work: Future[T]) -> None:
        from distributed import KilledWorker

        if self._open.pop(asked, None) is None or not asked.set_running_or_notify_cancel():
            return
        error = None if work.cancelled() else work.exception()
        if work.cancelled() or isinstance(error, KilledWorker):
            asked.set_exception(BrokenExecutor("the cluster lost the work, again and again"))
        elif error is not None:
            asked.set_exception(error)
        else:
            asked.set_result(work.result())

    def _asked_is_over(self, asked: Future[Any]) -> None:
        work = self._open.pop(asked, None)
        if work is not None:
            self._inbox.put(work)  # to cancel it asks the scheduler, and waits for the answer

    def _keep(self) -> None:
        """Cancel what nobody wants any more, and break off when the cluster is gone."""
        try:
            self._watch()
        except (Exception, asyncio.CancelledError) as error:
            # Whatever Dask raises when the connection breaks while something is asked.
            log.warning("the cluster is gone: %s", type(error).__name__)
        self._over = True
        with contextlib.suppress(KeyError):
            while True:
                asked, _ = self._open.popitem()
                if asked.set_running_or_notify_cancel():
                    asked.set_exception(BrokenExecutor("the cluster is gone"))
        self._client.close(timeout=CONNECT_SECONDS)

    def _watch(self) -> None:
        while not self._over:
            try:
                work = self._inbox.get(timeout=BEAT_SECONDS if self._open else None)
            except queue.Empty:
                if not self._there():
                    break
            else:
                if work is not None:
                    work.cancel()

    def _there(self) -> bool:
        """Whether the scheduler answers and has workers."""
        return self._client.status == "running" and bool(self._client.nthreads())


def scrubjay_there() -> str:
    """The version of Scrubjay where this is called: on a worker."""
    return __version__


def _threads(client: Client, scheduler: str) -> int:
    """How many threads the cluster has, all of which know this Scrubjay.

    Raises:
        ClusterError: There are none, or they don't.
    """
    threads: int = sum(client.nthreads().values())
    if not threads:
        raise ClusterError(f"The Dask scheduler at {scheduler} has no workers.")
    try:
        versions = set(client.run(scrubjay_there).values())
    except Exception as error:
        # Whatever a worker raises that has no such function comes out here.
        log.warning("no version from the cluster: %s", type(error).__name__)
        versions = {"none that can be used"}
    if versions != {__version__}:
        raise ClusterError(
            f"The Dask workers of {scheduler} have Scrubjay {', '.join(sorted(versions))}, "
            f"and this is {__version__}."
        )
    return threads


def _be_quiet() -> None:
    """Have Dask log where the program does, not on the screen."""
    for name in ("distributed", "distributed.client", "bokeh", "tornado", "tornado.application"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
