"""What recall reads: a person's messages in the order they came, and the ones it found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from storage.messages import COLUMNS, message_from
from storage.records import Session
from storage.sessions import session_from
from storage.sql import marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Message
    from storage.sql import Sql

_MESSAGE: Final = ", ".join(f"message.{name}" for name in COLUMNS.split(", "))


class Utterance(msgspec.Struct, frozen=True, array_like=True):
    """A message as recall indexes it."""

    key: int
    """Its place in the order of all messages."""

    message_id: str
    session_id: str
    position: int
    speaker: str
    """The name that the session's state gives the role under `speakers`, or else the role."""

    text: str
    created_at: float
    streaming: bool
    """It is still being written, and has to be read again."""


class Found(msgspec.Struct, frozen=True):
    """A message, and the title of its session."""

    message: Message
    session_title: str


class RecallSource:
    """What users and assistants said in a database."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def newest(self) -> tuple[int, str]:
        """The key and the id of the newest message; (0, "") when there is none."""
        row = await self._database.fetch_one(
            "SELECT key, id FROM messages ORDER BY key DESC LIMIT 1"
        )
        return (row[0], row[1]) if row else (0, "")

    async def holds(self, key: int, message_id: str) -> bool:
        """Whether the key still is that message's: keys of purged messages are used again.

        Key 0 stands for the time before the first message.
        """
        if key == 0:
            return True
        row = await self._database.fetch_one("SELECT id FROM messages WHERE key = ?", (key,))
        return row is not None and row[0] == message_id

    async def between(
        self, after: int, until: int, *, user_id: str | None, limit: int
    ) -> list[Utterance]:
        """What was said by and to a user, with keys in (after, until], oldest first.

        Also what is not shown now, or deleted: that may be undone.
        """
        rows = await self._database.fetch_all(
            f"{_UTTERANCES} WHERE message.key > ? AND message.key <= ?"
            " AND message.role IN ('user', 'assistant') AND session.user_id IS ?"
            " ORDER BY message.key LIMIT ?",
            (after, until, user_id, limit),
        )
        return [Utterance(*row) for row in rows]

    async def again(self, keys: Sequence[int]) -> list[Utterance]:
        """The messages with these keys that are finished by now."""
        rows = await self._database.fetch_all(
            f"{_UTTERANCES} WHERE message.key IN ({marks(keys)})"
            " AND message.finish <> 'streaming' ORDER BY message.key",
            tuple(keys),
        )
        return [Utterance(*row) for row in rows]

    async def found(
        self, keys: Sequence[int], *, user_id: str | None, process_id: str | None = None
    ) -> dict[int, Found]:
        """Of these messages, the ones that are shown, by key; another user's never are.

        Nor are those that `leave_out` named.

        With `process_id`, only those of sessions whose state names that process.
        """
        rows = await self._database.fetch_all(
            f"SELECT message.key, session.title, {_MESSAGE} FROM messages AS message"
            " JOIN sessions AS session ON session.id = message.session_id"
            f" WHERE message.key IN ({marks(keys)}) AND message.shown"
            " AND session.deleted_at IS NULL AND session.user_id IS ?"
            " AND message.id NOT IN (SELECT message_id FROM unrecalled)"
            " AND (CAST(? AS TEXT) IS NULL OR json_extract(session.state, '$.process_id') = ?)",
            (*keys, user_id, process_id, process_id),
        )
        return {row[0]: Found(message_from(row[2:]), row[1]) for row in rows}

    async def saying(self, words: Sequence[Sequence[str]], *, user_id: str | None) -> list[Message]:
        """Every message of a person's sessions, shown or not, that may say all of `words`.

        Each word is a list of beginnings of which one is enough. What tools were called with
        counts, too: there, any of the words is enough.
        """
        match = self._database.full_text.beginnings("messages", words)
        calls = " OR ".join(["instr(lower(message.tool_calls), ?) > 0"] * len(words))
        rows = await self._database.fetch_all(
            f"SELECT {_MESSAGE} FROM messages AS message"
            " JOIN sessions AS session ON session.id = message.session_id"
            " WHERE session.user_id IS ? AND message.finish <> 'streaming' AND (message.key IN"
            f" (SELECT message.key FROM {match.source} WHERE {match.condition})"
            f" OR message.tool_calls IS NOT NULL AND ({calls}))",
            (user_id, *match.parameters, *(one[0] for one in words)),
        )
        return [message_from(row) for row in rows]

    async def sessions_of(self, user_id: str | None) -> list[Session]:
        """Every session of a person, deleted ones too."""
        rows = await self._database.fetch_all(
            f"SELECT {', '.join(Session.__struct_fields__)} FROM sessions WHERE user_id IS ?",
            (user_id,),
        )
        return [session_from(row) for row in rows]

    async def left_out(self, message_ids: Sequence[str]) -> set[str]:
        """Those of these messages that `leave_out` named."""
        rows = await self._database.fetch_all(
            f"SELECT message_id FROM unrecalled WHERE message_id IN ({marks(message_ids)})",
            tuple(message_ids),
        )
        return {message_id for (message_id,) in rows}

    async def may_tell(self, message_ids: Sequence[str], *, in_session: str) -> set[str]:
        """Those of these messages that belong to a session's person and are not left out."""
        row = await self._database.fetch_one(
            "SELECT user_id FROM sessions WHERE id = ?", (in_session,)
        )
        return await self.told_by(message_ids, row[0] if row else None)

    async def told_by(self, message_ids: Sequence[str], user_id: str | None) -> set[str]:
        """Those of these messages that belong to a person and are not left out."""
        rows = await self._database.fetch_all(
            "SELECT message.id FROM messages AS message"
            " JOIN sessions AS session ON session.id = message.session_id"
            f" WHERE message.id IN ({marks(message_ids)}) AND session.user_id IS ?"
            " AND message.id NOT IN (SELECT message_id FROM unrecalled)",
            (*message_ids, user_id),
        )
        return {message_id for (message_id,) in rows}

    async def leave_out(self, message_ids: Sequence[str]) -> None:
        """Never bring these messages back again."""
        async with self._database.transaction() as transaction:
            await transaction.execute_many(
                "INSERT INTO unrecalled VALUES (?) ON CONFLICT DO NOTHING",
                [(one,) for one in message_ids],
            )


_UTTERANCES = (
    "SELECT message.key, message.id, message.session_id, message.position,"
    " coalesce(json_extract(session.state, '$.speakers.' || message.role), message.role),"
    " message.content, message.created_at, message.finish = 'streaming'"
    " FROM messages AS message JOIN sessions AS session ON session.id = message.session_id"
)
