"""What programs said with their models: recalled and recorded, on the event loop of the store.

Callers come from any thread and any loop; whatever touches the store is handed to its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from engine.memory.learning import PROCESS, Learning
from engine.memory.memories import EPISODE_EVERY
from engine.memory.notes import notes
from engine.memory.quotas import QuotaExceededError, Quotas
from engine.memory.recall import Recall
from engine.memory.rules import statements
from engine.titles import first_words
from storage.ids import new_id
from storage.records import Failure, Finish, Role, TitleOrigin

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from engine.config import MemorySettings
    from engine.memory.clients.base import Asked, Heard
    from engine.memory.recall import Recollection
    from storage.records import Message
    from storage.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0
"""What takes longer is not waited for: a call goes on without it."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a call is."""

    entity_id: str | None = None
    process_id: str | None = None
    session_id: str | None = None


NOBODY = Scope()
"""Whose a call is when nobody was named."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A question, and what came of its answer."""

    session_id: str
    scope: Scope
    asked: Asked
    heard: Heard
    provider: str
    finish: Finish
    failure: Failure | None
    began_at: float


class Archive:
    """Recalls and records in one store.

    Args:
        store: Where it is kept.
        loop: The event loop that the store was opened in.
        settings: What to bring back and to learn, and how much of it.
    """

    def __init__(
        self, store: Store, loop: asyncio.AbstractEventLoop, settings: MemorySettings
    ) -> None:
        self._store = store
        self._loop = loop
        self._settings = settings
        self._recall = Recall(store)
        self._learning = Learning(store, Quotas(store, settings))
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sessions: dict[tuple[str, str | None, str | None], str] = {}
        self._pending: set[concurrent.futures.Future[Any]] = set()

    @property
    def is_here(self) -> bool:
        """Whether the event loop of the store runs in this thread, which so must not wait."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def begin(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Do work on the store's loop.

        Raises:
            RuntimeError: That loop is closed.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    async def wait(self) -> None:
        """Wait until all that was begun is done."""
        while pending := list(self._pending):
            await asyncio.wait([asyncio.wrap_future(future) for future in pending])

    def flush(self) -> None:
        """Wait until all that was begun is done, in a thread without the store's loop."""
        while pending := list(self._pending):
            concurrent.futures.wait(pending)

    def session_of(self, scope: Scope, client: str) -> str:
        """The session of calls that name none: one for each client, entity and process."""
        key = (client, scope.entity_id, scope.process_id)
        return scope.session_id or self._sessions.setdefault(key, new_id())

    async def told(self, asked: Asked, scope: Scope) -> str:
        """Notes on what fits a question, and is not in its request already.

        Empty without any, and when recall fails: an answer without memories is better than none.
        """
        if not self._settings.recall:
            return ""
        try:
            found = await self._recall.recall(
                asked.question,
                self._settings.limit + len(asked.said),
                entity_id=scope.entity_id,
                process_id=scope.process_id,
            )
            new = [one for one in found if not await self._is_said(one, asked.said)]
        except Exception:
            log.exception("nothing could be recalled for a client")
            return ""
        pinned = [one for one in new if one.pinned]
        return notes([*pinned, *[one for one in new if not one.pinned][: self._settings.limit]])

    async def _is_said(self, one: Recollection, said: Sequence[str]) -> bool:
        """Whether a request holds this, or what it was learnt from."""
        texts = [_spaced(one.text).removeprefix("… ").removesuffix(" …")]
        if one.kind != "message" and one.message_id:
            source = await self._store.messages.get(one.message_id)
            texts += [_spaced(source.content)] if source else []
        return any(text in _spaced(other) for text in texts for other in said)

    async def keep(self, exchange: Exchange) -> None:
        """Record an exchange; should that fail, the log says so and nobody else hears of it."""
        try:
            await self.record(exchange)
        except QuotaExceededError as error:
            log.warning("of an answer to a client, not all was learnt: %s", error.message)
        except Exception:
            log.exception("an answer to a client was not recorded")

    async def record(self, exchange: Exchange) -> None:
        """Record an exchange, and learn what the user told in it.

        Raises:
            QuotaExceededError: It is recorded, but there is no room for all that was told.
            ValueError: The session is another entity's or process's.
            StorageError: It could not be kept.
        """
        asked, heard = exchange.asked, exchange.heard
        lock = self._writing.setdefault(exchange.session_id, asyncio.Lock())
        async with lock:  # a question and its answer stay together
            await self._open(exchange)
            if asked.new:
                question = await self._store.messages.append(
                    exchange.session_id,
                    role=Role.USER,
                    content=asked.question,
                    created_at=exchange.began_at,
                )
            text, thinking = "".join(heard.text), "".join(heard.thinking)
            if text or thinking:
                await self._store.messages.append(
                    exchange.session_id,
                    role=Role.ASSISTANT,
                    content=text,
                    thinking=thinking,
                    model=f"{exchange.provider}:{heard.model}",
                    finish=exchange.finish,
                    failure=exchange.failure,
                    usage=heard.usage,
                )
            if asked.new and self._tells(question):
                session = await self._store.sessions.known(exchange.session_id)
                await self._learning.by_rules(session, explicit=not self._settings.extract)

    def _tells(self, question: Message) -> bool:
        """Whether there is something to learn: statements, or enough for an episode."""
        explicit = not self._settings.extract
        many = (question.position + 2) % EPISODE_EVERY == 0
        return (many and not explicit) or bool(statements(question.content, explicit=explicit))

    async def _open(self, exchange: Exchange) -> None:
        """Make the session if it is not there yet, and see that it is the right one."""
        scope = exchange.scope
        session = await self._store.sessions.get_or_create(
            exchange.session_id, user_id=scope.entity_id
        )
        if session.user_id != scope.entity_id:
            raise ValueError(f"The session {session.id} is another entity's.")
        process = session.state.get(PROCESS)
        if process is None and scope.process_id is not None and session.message_count == 0:
            await self._store.sessions.set_state(session.id, PROCESS, scope.process_id)
        elif process != scope.process_id:
            raise ValueError(f"The session {session.id} is another process's.")
        if session.title_origin is TitleOrigin.NONE:
            title = first_words(exchange.asked.question)
            await self._store.sessions.rename(session.id, title, TitleOrigin.WORDS)


def exchange_of(
    session_id: str,
    scope: Scope,
    asked: Asked,
    heard: Heard,
    *,
    provider: str,
    began_at: float | None = None,
    error: BaseException | None = None,
) -> Exchange:
    """An exchange that ended, with an error or without."""
    failed = isinstance(error, Exception)
    return Exchange(
        session_id=session_id,
        scope=scope,
        asked=asked,
        heard=heard,
        provider=provider,
        finish=Finish.FAILED if failed else Finish.STOPPED if error else Finish.COMPLETE,
        failure=Failure(kind="client", message=str(error)) if failed else None,
        began_at=time.time() if began_at is None else began_at,
    )


def _spaced(text: str) -> str:
    return " ".join(text.split())
