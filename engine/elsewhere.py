"""What other programs do with the same store, told as if it had happened here.

Another window on the same file, or another machine on the same server: its sessions appear in the
list, and what is said in a session that is open appears there.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from engine.events import (
    ChangedElsewhere,
    ConnectionChanged,
    Notice,
    SessionChanged,
    SessionDeleted,
)
from storage import changes
from storage.errors import StorageError

if TYPE_CHECKING:
    from engine.events import Events
    from storage.store import Store

LATEST = 12
"""So many of a session's last messages are told; where more is new, all is read again."""

SESSIONS = 20
"""When anything may have been changed, so many sessions are looked at, the latest."""

AGAIN_SECONDS = 5.0

log = logging.getLogger(__name__)


class Elsewhere:
    """Watches the store. Begun by `begin`, ended by `close`.

    Attributes:
        connection: How it is with the store's server; None while nothing is wrong.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self.connection: ConnectionChanged | None = None
        self._store = store
        self._events = events
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Watch from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="watch the store")

    async def close(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            try:
                async with aclosing(self._store.watch()) as watched:
                    async for change in watched:
                        await self._tell(change)
            except StorageError as error:
                log.warning("the store can't be watched: %s", type(error).__name__)
            except Exception:
                log.exception("the store can't be watched")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _tell(self, change: changes.Change) -> None:
        match change:
            case changes.SessionTouched(session_id=session_id):
                with suppress(StorageError):  # What is out of reach is told by itself.
                    await self._tell_session(session_id)
            case changes.AnythingTouched():
                with suppress(StorageError):
                    for session in await self._store.sessions.list(limit=SESSIONS):
                        await self._tell_session(session.id)
            case changes.ConnectionChanged():
                self._tell_connection(change)

    async def _tell_session(self, session_id: str) -> None:
        session = await self._store.sessions.get(session_id)
        if session is None or session.deleted_at is not None or session.archived_at is not None:
            self._events.emit(SessionDeleted(session_id=session_id, elsewhere=True))
            return
        self._events.emit(SessionChanged(session=session))
        last = tuple(await self._store.messages.tail(session_id, LATEST))
        self._events.emit(ChangedElsewhere(session_id=session_id, session=session, last=last))

    def _tell_connection(self, change: changes.ConnectionChanged) -> None:
        event = ConnectionChanged(lost=change.lost, waiting=change.waiting)
        self.connection = event if change.lost else None
        self._events.emit(event)
        if change.sent:
            writes = (
                "write that had waited is" if change.sent == 1 else "writes that had waited are"
            )
            self._events.emit(
                Notice(text=f"The server is back: {change.sent} {writes} kept there.")
            )
        if change.refused:
            self._events.emit(
                Notice(
                    text=f"The server refused {change.refused} of what had waited. It is kept in"
                    " the folder “waiting” beside the log file.",
                    severity="error",
                )
            )
