"""The vectors of messages, each by the embedding model that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.sql import Sql


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A message that has no vector yet."""

    key: int
    """Its place in the order of all messages."""

    message_id: str
    text: str
    streaming: bool
    """It is still being written."""


class KeptVector(msgspec.Struct, frozen=True, array_like=True):
    """The vector of a message."""

    number: int
    """Its place in the order in which vectors were kept."""

    key: int
    """The message's place in the order of all messages."""

    vector: bytes
    """Float32, little-endian."""


class MessageVectors:
    """The vectors in a database that belong to messages.

    Vectors of different models can't be compared: each belongs to a space, which is its model's.
    """

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def waiting(self, space: str, *, after: int, limit: int) -> list[Waiting]:
        """What users and assistants said, with keys after `after`, that has no vector, in order."""
        rows = await self._database.fetch_all(
            "SELECT key, id, content, finish = 'streaming' FROM messages"
            " WHERE key > ? AND role IN ('user', 'assistant') AND NOT EXISTS"
            " (SELECT 1 FROM vectors WHERE owner_id = messages.id AND space = ?)"
            " ORDER BY key LIMIT ?",
            (after, space, limit),
        )
        return [Waiting(*row) for row in rows]

    async def keep(self, space: str, vectors: Mapping[str, bytes]) -> None:
        """Keep the vectors of messages, by the messages' ids; those that are gone are left out."""
        async with self._database.transaction() as transaction:
            await transaction.execute_many(
                "INSERT INTO vectors (owner_id, space, vector) SELECT id, ?, ? FROM messages"
                " WHERE id = ?"
                " ON CONFLICT (owner_id, space) DO UPDATE SET vector = excluded.vector",
                [(space, vector, message_id) for message_id, vector in vectors.items()],
            )

    async def after(
        self, space: str, number: int, *, user_id: str | None, limit: int
    ) -> list[KeptVector]:
        """The vectors of what was said by and to a user that were kept after one, in order."""
        rows = await self._database.fetch_all(
            "SELECT vectors.rowid, message.key, vectors.vector"
            " FROM vectors INDEXED BY vectors_by_space"
            " JOIN messages AS message ON message.id = vectors.owner_id"
            " JOIN sessions AS session ON session.id = message.session_id"
            " WHERE vectors.space = ? AND vectors.rowid > ? AND session.user_id IS ?"
            " ORDER BY vectors.rowid LIMIT ?",
            (space, number, user_id, limit),
        )
        return [KeptVector(*row) for row in rows]

    async def forget_others(self, space: str) -> None:
        """Forget what other models made of messages."""
        await self._database.write(
            "DELETE FROM vectors WHERE space <> ? AND owner_id IN (SELECT id FROM messages)",
            (space,),
        )
