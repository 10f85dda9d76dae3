"""Writes that may wait a moment, gathered and committed together in the background."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from storage.errors import StorageError
from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.sql import Sql

LONGEST_RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)


class BackgroundWrites:
    """A queue of statements, written when `size` have come or `seconds` have passed.

    One task does the writing, one batch a transaction, in order. What could not be written stays
    in the queue, and is tried again with the next batch, at `flush` and at `close`, which report.
    """

    def __init__(self, database: Sql, *, size: int = 500, seconds: float = 0.5) -> None:
        self._database = database
        self._size = size
        self._seconds = seconds
        self._queue: list[tuple[str, Sequence[Any]]] = []
        self._full = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def put(self, sql: str, parameters: Sequence[Any]) -> None:
        """Queue a statement. Never waits."""
        self._queue.append((sql, parameters))
        if len(self._queue) >= self._size:
            self._full.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="background writes")

    async def flush(self) -> None:
        """Write everything that is queued.

        Raises:
            StorageError: It could not be written, and is queued still.
        """
        async with self._writing:
            while self._queue:
                await to_its_end(self._write_batch())

    async def close(self) -> None:
        """Write everything that is queued and end the task. Raises as `flush` does."""
        self._closing = True
        self._full.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def _run(self) -> None:
        seconds = self._seconds
        while self._queue and not self._closing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), seconds)
            self._full.clear()
            try:
                await self.flush()
                seconds = self._seconds
            except StorageError as error:
                seconds = min(2 * seconds, LONGEST_RETRY_SECONDS)
                log.error("%d queued writes have to wait: %s", len(self._queue), error)

    async def _write_batch(self) -> None:
        batch = list(islice(self._queue, self._size))
        async with self._database.transaction() as transaction:
            for sql, group in groupby(batch, key=lambda change: change[0]):
                await transaction.execute_many(sql, [parameters for _, parameters in group])
        del self._queue[: len(batch)]
