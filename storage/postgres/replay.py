"""Doing the writes that had waited. Any of them may have been committed before."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from storage.base import LAST
from storage.errors import (
    ConnectionLostError,
    SessionExistsError,
    StorageError,
    UnknownMessageError,
)
from storage.memory import Batch
from storage.postgres.writes import (
    Append,
    Ask,
    Checkpoint,
    Create,
    End,
    Keep,
    Note,
    Remember,
    Rename,
    SetState,
    Stamp,
    decoded,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from storage.images import Images
    from storage.messages import Messages
    from storage.sessions import SessionManager
    from storage.sql import Sql


class Replay:
    """Does what waited, as it would have been done at once."""

    def __init__(
        self,
        database: Sql,
        messages: Messages,
        sessions: SessionManager,
        images: Images,
        note: Callable[[str, Any], Awaitable[None]],
    ) -> None:
        self._database = database
        self._messages = messages
        self._sessions = sessions
        self._images = images
        self._note = note

    async def do(self, data: bytes) -> None:
        """Do a write, unless it was done before the connection broke.

        Raises:
            ConnectionLostError: The connection is lost again.
            StorageError: The database does not take it, and never will.
        """
        match write := decoded(data):
            case Append():
                await self._append(write)
            case Ask():
                await self._ask(write)
            case Checkpoint():
                with suppress(UnknownMessageError):
                    await self._messages.checkpoint(
                        write.message_id, content=write.content, thinking=write.thinking
                    )
            case End():
                await self._end(write)
            case Create():
                with suppress(SessionExistsError):
                    await self._sessions.create(**msgspec.structs.asdict(write))
            case Rename():
                await self._sessions.rename(write.session_id, write.title, write.origin)
            case SetState():
                await self._sessions.set_state(write.session_id, write.key, write.value)
            case Stamp():
                await self._sessions.stamp(write.session_id, write.column, write.value)
            case Keep():
                await self._images.keep(write.data)
            case Note():
                await self._note(write.name, write.value)
            case Remember():
                await self._remember(write)

    async def _append(self, write: Append) -> None:
        await self._add(write.message_id, self._messages.append(**_said(write)))

    async def _ask(self, write: Ask) -> None:
        # Both were committed, or neither.
        await self._add(write.ids[0], self._messages.ask(**_said(write)))

    async def _add(self, message_id: str, adding: Awaitable[object]) -> None:
        try:
            await adding
        except ConnectionLostError:
            raise
        except StorageError:
            # Its id is taken: it was committed before.
            if await self._messages.get(message_id) is None:
                raise

    async def _end(self, write: End) -> None:
        said = msgspec.structs.asdict(write)
        message_id = said.pop("message_id")
        try:
            await self._messages.finish(message_id, **said)
        except UnknownMessageError:
            if await self._messages.get(message_id) is None:
                raise

    async def _remember(self, write: Remember) -> None:
        batch = Batch()
        for sql, parameters in write.changes:
            batch.change(sql, parameters)
        try:
            async with self._database.transaction() as transaction:
                await batch.write(transaction)
        except ConnectionLostError:
            raise
        except StorageError:
            if not await self._remembered(write):
                raise

    async def _remembered(self, write: Remember) -> bool:
        """Whether a batch was committed before: then what it adds is there."""
        for sql, parameters in write.changes:
            if added := re.match(r"INSERT INTO (episodes|facts|skills) \(id,", sql):
                return bool(
                    await self._database.fetch_all(
                        f"SELECT 1 FROM {added[1]} WHERE id = ?", parameters[:1]
                    )
                )
        return False


def _said(write: Append | Ask) -> dict[str, Any]:
    said = msgspec.structs.asdict(write)
    if said.pop("follows_last"):
        said["parent_id"] = LAST
    return said
