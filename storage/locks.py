"""A read/write lock for asyncio: many readers or one writer, served in the order they came."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class AsyncReadWriteLock:
    """Many readers or one writer.

    It is fair: nobody overtakes, so a reader that comes after a waiting writer waits for it, and
    nobody starves. A waiter that is cancelled leaves the queue, and the lock if it had just been
    given it. It is not re-entrant: a task that holds the lock, for reading or writing, and asks for
    it again would wait for itself, and gets a `RuntimeError` instead.

    It belongs to one event loop and is not for threads.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Waiter] = deque()
        self._readers: set[asyncio.Task[object]] = set()
        self._writer: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Hold the lock together with other readers."""
        task = await self._acquire(writes=False)
        try:
            yield
        finally:
            self._release(task)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Hold the lock alone."""
        task = await self._acquire(writes=True)
        try:
            yield
        finally:
            self._release(task)

    async def _acquire(self, *, writes: bool) -> asyncio.Task[object]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("The lock is held by tasks; there is none here.")
        if task is self._writer or task in self._readers:
            raise RuntimeError("This task holds the lock already, and it is not re-entrant.")
        waiter = _Waiter(task, writes, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.cancelled():
                self._waiting.remove(waiter)
                self._admit()
            else:
                self._release(task)
            raise
        return task

    def _release(self, task: asyncio.Task[object]) -> None:
        if task is self._writer:
            self._writer = None
        else:
            self._readers.remove(task)
        self._admit()

    def _admit(self) -> None:
        """Let in whoever is first in the queue, and readers as long as they follow each other."""
        while self._waiting and self._writer is None:
            waiter = self._waiting[0]
            if waiter.writes and self._readers:
                return
            if waiter.admitted.cancelled():
                # Its task takes it out of the queue when it comes to run.
                return
            self._waiting.popleft()
            if waiter.writes:
                self._writer = waiter.task
            else:
                self._readers.add(waiter.task)
            waiter.admitted.set_result(None)


class _Waiter(NamedTuple):
    task: asyncio.Task[object]
    writes: bool
    admitted: asyncio.Future[None]
