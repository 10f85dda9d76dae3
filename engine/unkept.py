"""Answers that the disk did not take: held in memory, and tried again until it does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from engine.events import AnswerEnded
from engine.pool import Job, Lane
from storage.errors import StorageError, UnknownMessageError

if TYPE_CHECKING:
    from engine.events import Events
    from engine.pool import Pool
    from storage.records import Message
    from storage.store import Store

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""The disk is tried again after so long."""


class Unkept:
    """The last forms of answers, which the store still takes for unfinished."""

    def __init__(self, store: Store, pool: Pool, events: Events) -> None:
        self._store = store
        self._pool = pool
        self._events = events
        self._answers: dict[str, Message] = {}
        self._trying: Job[None] | None = None

    def add(self, answer: Message) -> None:
        """Hold an answer as it should be kept, and try again and again."""
        self._answers[answer.id] = answer
        if not self._pool.closing and (self._trying is None or self._trying.state.over):
            self._trying = self._pool.submit("keep what found no room", Lane.UPKEEP, self._try)

    async def keep(self) -> None:
        """Try all of them now, until one fails."""
        for answer in tuple(self._answers.values()):
            try:
                kept = await keep(self._store, answer)
            except UnknownMessageError:  # deleted meanwhile, with its session
                del self._answers[answer.id]
            except StorageError as error:
                log.info("there is still no room for an answer: %s", type(error).__name__)
                return
            else:
                del self._answers[answer.id]
                self._events.emit(AnswerEnded(message=kept))

    async def _try(self, _job: Job[None]) -> None:
        while self._answers:
            await asyncio.sleep(RETRY_SECONDS)
            await self.keep()


async def keep(store: Store, answer: Message) -> Message:
    """Commit the last form of an answer. Returns it as kept.

    Raises:
        StorageError: It could not be kept.
    """
    return await store.messages.finish(
        answer.id,
        finish=answer.finish,
        failure=answer.failure,
        content=answer.content,
        token_count=answer.token_count,
        thinking=answer.thinking,
        tool_calls=answer.tool_calls,
        model=answer.model,
        usage=answer.usage,
    )
