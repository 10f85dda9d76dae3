"""The worker pool: the one place where background work lives, is bounded, watched and ended.

A job has a name, a lane, a state, progress and perhaps a deadline. Each lane runs a bounded number
of jobs at a time; jobs that share a key run one after another in the order in which they came.
The Workers panel is a plain view of `Pool.jobs`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from engine.events import Events, JobChanged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

log = logging.getLogger(__name__)

T = TypeVar("T")

KEPT_AFTER_END = 100
"""How many ended jobs stay listed."""


class Lane(StrEnum):
    """What a job works on; each lane has its own bound on jobs at a time."""

    CHAT = "chat"
    """Turns that a person waits for."""

    STORAGE = "storage"
    """Writes that must not be lost: drained at shutdown, never cancelled by it."""

    BACKGROUND = "background"
    """Model calls that nobody waits for: titles and, later, summaries."""

    FETCH = "fetch"
    """Waiting for servers: one source of a research turn, model hosts that are looked at."""

    PROCESS = "process"
    """Waiting for worker processes that read, embed and rank."""

    DOWNLOAD = "download"
    UPKEEP = "upkeep"
    """Looking for models, tidying the store."""

    SERVERS = "servers"
    """Connections to servers of tools, as long as they are open."""


WIDTHS = {
    Lane.CHAT: 4,
    Lane.STORAGE: 8,
    Lane.BACKGROUND: 1,
    Lane.FETCH: 32,
    Lane.PROCESS: 4,
    Lane.DOWNLOAD: 1,
    Lane.UPKEEP: 2,
    Lane.SERVERS: 32,
}
"""Jobs at a time in each lane."""


class JobState(StrEnum):
    """Where a job is between being handed in and being over."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Job(Generic[T]):
    """One piece of background work.

    Attributes:
        id: Unique in this process, growing.
        name: What it does, for the person who reads the Workers panel.
        progress: From 0 to 1, or None when it can't be told.
        detail: A few words on what it does now.
        error: Why it failed.
    """

    def __init__(
        self, job_id: int, name: str, lane: Lane, deadline: float | None, events: Events
    ) -> None:
        self.id = job_id
        self.name = name
        self.lane = lane
        self.deadline = deadline
        self.state = JobState.QUEUED
        self.progress: float | None = None
        self.detail = ""
        self.error: BaseException | None = None
        self.queued_at = time.monotonic()
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self._events = events
        self._task: asyncio.Task[None] | None = None
        self._result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        if self.started_at is None:
            return 0.0
        return (self.ended_at or time.monotonic()) - self.started_at

    def report(self, progress: float | None = None, detail: str | None = None) -> None:
        """Tell how far the work has come. Called by the work itself."""
        self.progress = progress
        if detail is not None:
            self.detail = detail
        self._events.emit(JobChanged(job=self))

    def cancel(self) -> bool:
        """Ask the job to end. Returns whether there was anything left to end."""
        if self.state.over or self._task is None:
            return False
        self._task.cancel()
        return True

    async def result(self) -> T:
        """Wait for the work and return what it made.

        Raises:
            asyncio.CancelledError: The job was cancelled.
            TimeoutError: Its deadline passed.
            Exception: Whatever the work raised.
        """
        return await asyncio.shield(self._result)

    async def ended(self) -> None:
        """Wait until the job is over, however it ended."""
        await asyncio.wait([self._result])

    def _move(self, state: JobState) -> None:
        self.state = state
        if state is JobState.RUNNING:
            self.started_at = time.monotonic()
        elif state.over:
            self.ended_at = time.monotonic()
        self._events.emit(JobChanged(job=self))


class Pool:
    """Runs jobs in bounded lanes and keeps account of them."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._ids = itertools.count(1)
        self._live: dict[int, Job[Any]] = {}
        self._ended: deque[Job[Any]] = deque(maxlen=KEPT_AFTER_END)
        self._slots = {lane: asyncio.Semaphore(width) for lane, width in WIDTHS.items()}
        self._last_of_key: dict[str, Job[Any]] = {}
        self.closing = False

    def submit(
        self,
        name: str,
        lane: Lane,
        work: Callable[[Job[T]], Awaitable[T]],
        *,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Job[T]:
        """Hand in a job.

        Args:
            name: What it does, in words.
            lane: What it works on.
            work: Called with the job, through which it may report progress.
            key: Jobs of one key run one at a time, in order.
            deadline: Seconds that the work may take once it runs.

        Raises:
            RuntimeError: The pool is closing; only writes are still taken.
        """
        if self.closing and lane is not Lane.STORAGE:
            raise RuntimeError("the worker pool is closing and takes no more jobs")
        job: Job[T] = Job(next(self._ids), name, lane, deadline, self._events)
        before = self._last_of_key.get(key) if key is not None else None
        if key is not None:
            self._last_of_key[key] = job
        self._live[job.id] = job
        job._task = asyncio.create_task(self._run(job, work, before), name=f"job {job.id}: {name}")
        job._task.add_done_callback(lambda _: self._forget(job, key))
        self._events.emit(JobChanged(job=job))
        return job

    def jobs(self) -> Iterator[Job[Any]]:
        """Living jobs, oldest first, then the last ended ones, newest first."""
        yield from tuple(self._live.values())
        yield from reversed(tuple(self._ended))

    def living(self, lane: Lane | None = None) -> list[Job[Any]]:
        """Jobs that are not over, of one lane or of all."""
        return [job for job in self._live.values() if lane is None or job.lane is lane]

    async def close(self, timeout: float = 5.0) -> None:
        """Take no more jobs, cancel what can be lost, wait for writes; at most `timeout` seconds.

        Cancelled turns commit what they have, so they are given the same time as the writes.
        """
        self.closing = True
        for job in self.living():
            if job.lane is not Lane.STORAGE:
                job.cancel()
        try:
            async with asyncio.timeout(timeout):
                while tasks := self._tasks():  # a cancelled turn may hand in a last write
                    await asyncio.wait(tasks)
        except TimeoutError:
            for task in (late := self._tasks()):
                log.error("%s did not end within %.0f s of shutdown", task.get_name(), timeout)
                task.cancel()
            await asyncio.wait(late, timeout=1.0)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [job._task for job in self.living() if job._task is not None]

    async def _run(
        self, job: Job[T], work: Callable[[Job[T]], Awaitable[T]], before: Job[Any] | None
    ) -> None:
        try:
            if before is not None:
                await before.ended()
            async with self._slots[job.lane]:
                job._move(JobState.RUNNING)
                async with asyncio.timeout(job.deadline) as timeout:
                    result = await work(job)
            job._result.set_result(result)
            job._move(JobState.DONE)
        except asyncio.CancelledError:
            job._result.cancel()
            job._move(JobState.CANCELLED)
        except Exception as error:
            timed_out = isinstance(error, TimeoutError) and timeout.expired()
            self._fail(job, error, JobState.TIMED_OUT if timed_out else JobState.FAILED)

    def _fail(self, job: Job[Any], error: Exception, state: JobState) -> None:
        if state is JobState.TIMED_OUT:
            log.warning("job %r ran past its deadline of %s s", job.name, job.deadline)
        else:
            # The text of an error can quote what a person wrote, so only its type is logged.
            log.warning("job %r failed: %s", job.name, type(error).__name__)
            log.debug("job %r failed", job.name, exc_info=error)
        job.error = error
        job._result.set_exception(error)
        # The failure is kept on the job and shown; a result that nobody awaits is no news.
        job._result.exception()
        job._move(state)

    def _forget(self, job: Job[Any], key: str | None) -> None:
        if not job.state.over:  # cancelled before its first step
            job._result.cancel()
            job._move(JobState.CANCELLED)
        self._live.pop(job.id, None)
        self._ended.append(job)
        if key is not None and self._last_of_key.get(key) is job:
            del self._last_of_key[key]
