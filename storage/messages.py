"""Messages: appended, streamed into, finished, and read in pages. None changes after that, except
where a person wants something in it forgotten.

The messages of a session form a tree in which `position` is the depth. One branch is shown; its
positions run from 0 without a gap, so a page is a range of an index.
"""

# The methods are documented where they are declared, in storage.base.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec

from storage import owners
from storage.base import LAST, BaseMessages, ParentId, unknown_message, unknown_session
from storage.errors import MessageExistsError, UnknownMessageError
from storage.ids import new_id
from storage.records import Failure, Finish, Message, Placed, Role, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.sql import Row, Sql, Statements

COLUMNS = ", ".join(Message.__struct_fields__)

# Looked up for every message that is read: calling the enumerations takes five times as long.
_ROLES = {role.value: role for role in Role}
_FINISHES = {finish.value: finish for finish in Finish}


class Messages(BaseMessages):
    """The messages of a database."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def append(
        self,
        session_id: str,
        *,
        role: Role,
        content: str,
        thinking: str = "",
        model: str | None = None,
        finish: Finish = Finish.COMPLETE,
        parent_id: ParentId = LAST,
        token_count: int | None = None,
        usage: Usage | None = None,
        failure: Failure | None = None,
        tool_calls: Sequence[ToolCall] = (),
        tool_call_id: str | None = None,
        created_at: float | None = None,
        message_id: str | None = None,
    ) -> Message:
        values = await self._values(
            message_id=message_id,
            session_id=session_id,
            role=role,
            content=content,
            thinking=thinking,
            model=model,
            finish=finish,
            failure=failure,
            usage=usage,
            tool_calls=tool_calls,
            tool_call_id=tool_call_id,
            token_count=token_count,
            created_at=created_at,
        )
        if parent_id is LAST:
            rows = await self._database.write(_APPEND, values)
        else:
            async with self._database.transaction() as transaction:
                await transaction.hold([session_id])
                await cut_after(transaction, session_id, parent_id)
                rows = await transaction.execute(_APPEND, values)
        if not rows:
            raise unknown_session(session_id)
        return message_from(rows[0])

    async def ask(
        self,
        session_id: str,
        *,
        ids: tuple[str, str] | None = None,
        content: str,
        model: str | None,
        parent_id: ParentId = LAST,
        created_at: float | None = None,
    ) -> tuple[Message, Message]:
        """See `BaseMessages.ask`. Their ids and their time may be given, as for `append`."""
        question_id, answer_id = ids or (None, None)
        question = await self._values(
            message_id=question_id,
            session_id=session_id,
            role=Role.USER,
            content=content,
            created_at=created_at,
        )
        answer = await self._values(
            message_id=answer_id,
            session_id=session_id,
            role=Role.ASSISTANT,
            content="",
            model=model,
            finish=Finish.STREAMING,
            created_at=created_at,
        )
        async with self._database.transaction() as transaction:
            await transaction.hold([session_id])
            if parent_id is not LAST:
                await cut_after(transaction, session_id, parent_id)
            rows = [
                row for one in (question, answer) for row in await transaction.execute(_APPEND, one)
            ]
        if not rows:
            raise unknown_session(session_id)
        return message_from(rows[0]), message_from(rows[1])

    async def insert(
        self,
        after: str,
        *,
        role: Role,
        content: str,
        model: str | None = None,
        finish: Finish = Finish.COMPLETE,
        failure: Failure | None = None,
        tool_call_id: str | None = None,
        token_count: int | None = None,
        created_at: float | None = None,
        finished_at: float | None = None,
    ) -> Message:
        async with self._database.transaction() as transaction:
            found = await transaction.execute(
                "SELECT session_id FROM messages WHERE id = ?", (after,)
            )
            await transaction.hold([session_id for (session_id,) in found])
            places = await transaction.execute(
                "SELECT session_id, position FROM messages WHERE id = ? AND shown", (after,)
            )
            if not places:
                raise UnknownMessageError(f"There is no shown message {after}.")
            session_id, position = places[0]
            followers = await transaction.execute(
                "UPDATE messages SET shown = FALSE"
                " WHERE session_id = ? AND shown AND position > ? RETURNING id",
                (session_id, position),
            )
            values = await self._values(
                session_id=session_id,
                role=role,
                content=content,
                model=model,
                finish=finish,
                failure=failure,
                tool_call_id=tool_call_id,
                token_count=token_count,
            )
            if created_at is not None:
                values |= {"created_at": created_at, "finished_at": finished_at}
            rows = await transaction.execute(_APPEND, values)
            await transaction.execute_many(
                "UPDATE messages SET shown = TRUE, position = position + 1,"
                " parent_id = CASE parent_id WHEN ? THEN ? ELSE parent_id END WHERE id = ?",
                [(after, values["id"], follower) for (follower,) in followers],
            )
        return message_from(rows[0])

    async def checkpoint(self, message_id: str, *, content: str, thinking: str = "") -> None:
        rows = await self._database.write(
            "UPDATE messages SET content = ?, thinking = ?"
            " WHERE id = ? AND finish = 'streaming' RETURNING id",
            (content, thinking, message_id),
        )
        if not rows and await self.get(message_id) is None:
            raise unknown_message(message_id)

    async def finish(
        self,
        message_id: str,
        *,
        finish: Finish,
        content: str,
        thinking: str = "",
        model: str | None = None,
        usage: Usage | None = None,
        failure: Failure | None = None,
        token_count: int | None = None,
        tool_calls: Sequence[ToolCall] = (),
    ) -> Message:
        rows = await self._database.write(
            "UPDATE messages SET finish = ?, content = ?, thinking = ?, model = coalesce(?, model),"
            " usage = ?, failure = ?, token_count = ?, tool_calls = ?, finished_at = ?,"
            " owner = NULL WHERE id = ? AND finish IN ('streaming', 'interrupted')"
            f" RETURNING {COLUMNS}",
            (
                finish,
                content,
                thinking,
                model,
                _json(usage),
                _json(failure),
                token_count,
                _json(tuple(tool_calls)),
                time.time(),
                message_id,
            ),
        )
        if not rows:
            raise UnknownMessageError(f"No answer {message_id} is being written.")
        return message_from(rows[0])

    async def set_token_count(self, message_id: str, tokens: int) -> None:
        """Note how many tokens a message's content has, so that nobody counts it again."""
        await self._database.write(
            "UPDATE messages SET token_count = ? WHERE id = ? RETURNING id", (tokens, message_id)
        )

    async def get(self, message_id: str) -> Message | None:
        row = await self._database.fetch_one(
            f"SELECT {COLUMNS} FROM messages WHERE id = ?", (message_id,)
        )
        return message_from(row) if row else None

    async def page(self, session_id: str, start: int, stop: int) -> list[Message]:
        rows = await self._database.fetch_all(
            f"SELECT {COLUMNS} FROM messages"
            " WHERE session_id = ? AND position >= ? AND position < ? AND shown ORDER BY position",
            (session_id, start, stop),
        )
        return [message_from(row) for row in rows]

    async def tail(self, session_id: str, limit: int) -> list[Message]:
        rows = await self._database.fetch_all(
            f"SELECT {COLUMNS} FROM messages"
            " WHERE session_id = ? AND shown ORDER BY position DESC LIMIT ?",
            (session_id, limit),
        )
        return [message_from(row) for row in reversed(rows)]

    async def every(
        self, session_id: str, *, after: Message | None = None, limit: int = 200
    ) -> list[Placed]:
        rows = await self._database.fetch_all(
            f"SELECT shown, {COLUMNS} FROM messages"
            " WHERE session_id = ? AND (position, id) > (?, ?) ORDER BY position, id LIMIT ?",
            (session_id, after.position if after else -1, after.id if after else "", limit),
        )
        return [Placed(message=message_from(row[1:]), shown=bool(row[0])) for row in rows]

    async def alternatives(self, message_id: str) -> list[Message]:
        rows = await self._database.fetch_all(
            f"SELECT {_columns_of('other')} FROM messages AS this JOIN messages AS other"
            " ON other.session_id = this.session_id AND other.position = this.position"
            " AND other.parent_id IS this.parent_id"
            " WHERE this.id = ? ORDER BY other.id",
            (message_id,),
        )
        return [message_from(row) for row in rows]

    async def show(self, message_id: str) -> None:
        message = await self.known(message_id)
        async with self._database.transaction() as transaction:
            await transaction.hold([message.session_id])
            await cut_after(transaction, message.session_id, message_id)
            end = message
            while newest := await transaction.execute(
                "UPDATE messages SET shown = TRUE WHERE id = ("
                " SELECT max(id) FROM messages"
                " WHERE session_id = ? AND position = ? AND parent_id = ?"
                f") RETURNING {COLUMNS}",
                (end.session_id, end.position + 1, end.id),
            ):
                end = message_from(newest[0])

    async def branches(self, session_id: str) -> dict[str, tuple[int, int]]:
        rows = await self._database.fetch_all(
            """
            WITH forks AS (
                SELECT position FROM messages WHERE session_id = ?
                GROUP BY position HAVING count(*) > 1
            )
            SELECT this.id, count(*) FILTER (WHERE other.id <= this.id), count(*)
            FROM forks
            JOIN messages AS this
                ON this.session_id = ? AND this.position = forks.position AND this.shown
            JOIN messages AS other
                ON other.session_id = this.session_id AND other.position = this.position
                AND other.parent_id IS this.parent_id
            GROUP BY this.id HAVING count(*) > 1
            """,
            (session_id, session_id),
        )
        return {message_id: (place, count) for message_id, place, count in rows}

    async def hide(self, message_id: str) -> None:
        message = await self.known(message_id)
        async with self._database.transaction() as transaction:
            await transaction.hold([message.session_id])
            await cut_after(transaction, message.session_id, message.parent_id)

    async def strike(
        self,
        message_id: str,
        *,
        content: str,
        thinking: str = "",
        tool_calls: Sequence[ToolCall] = (),
    ) -> Message:
        session_id = (await self.known(message_id)).session_id
        async with self._database.transaction() as transaction:
            await transaction.hold([session_id])
            rows = await transaction.execute(
                "UPDATE messages"
                " SET content = ?, thinking = ?, tool_calls = ?, token_count = NULL"
                f" WHERE id = ? AND finish <> 'streaming' RETURNING {COLUMNS}",
                (content, thinking, _json(tuple(tool_calls)), message_id),
            )
            if not rows:
                raise unknown_message(message_id)
            await transaction.execute(
                "UPDATE sessions SET version = version + 1 WHERE id = ?", (session_id,)
            )
            # They would tell what it said.
            await transaction.execute("DELETE FROM vectors WHERE owner_id = ?", (message_id,))
        return message_from(rows[0])

    async def interrupt_abandoned(self) -> list[Message]:
        streaming = await self._database.fetch_all(
            "SELECT id, owner, created_at FROM messages WHERE finish = 'streaming'"
        )
        gone = await asyncio.to_thread(
            lambda: [one for one, owner, at in streaming if not (owner and self._lives(owner, at))]
        )
        abandoned: list[Message] = []
        for message_id in gone:
            rows = await self._database.write(
                "UPDATE messages SET finish = 'interrupted', finished_at = ?, owner = NULL"
                f" WHERE id = ? AND finish = 'streaming' RETURNING {COLUMNS}",
                (time.time(), message_id),
            )
            abandoned += [message_from(row) for row in rows]
        return abandoned

    async def _values(
        self,
        *,
        message_id: str | None = None,
        session_id: str,
        role: Role,
        content: str,
        thinking: str = "",
        model: str | None = None,
        finish: Finish = Finish.COMPLETE,
        failure: Failure | None = None,
        usage: Usage | None = None,
        tool_calls: Sequence[ToolCall] = (),
        tool_call_id: str | None = None,
        token_count: int | None = None,
        created_at: float | None = None,
    ) -> dict[str, Any]:
        """The values of a new row; a streaming one is owned by this process."""
        now = time.time() if created_at is None else created_at
        streaming = finish is Finish.STREAMING
        return {
            "id": message_id or new_id(),
            "session_id": session_id,
            "role": role,
            "content": content,
            "thinking": thinking,
            "model": model,
            "finish": finish,
            "failure": _json(failure),
            "usage": _json(usage),
            "tool_calls": _json(tuple(tool_calls)),
            "tool_call_id": tool_call_id,
            "token_count": token_count,
            "created_at": now,
            "finished_at": None if streaming else now,
            "owner": await self._owner() if streaming else None,
        }

    async def _owner(self) -> str:
        """Names this process, as the one that writes an answer."""
        return await asyncio.to_thread(owners.this_process)

    def _lives(self, owner: str, created_at: float) -> bool:
        """Whether the process that writes an answer, begun at a time, is still there."""
        return owners.lives(owner)


async def take_in(transaction: Statements, session_id: str, messages: Sequence[Message]) -> int:
    """Add messages of a session that comes from elsewhere, shown nowhere. Returns how many.

    Raises: see `BaseSessionManager.take_in`.
    """
    known = await transaction.execute(
        "SELECT id, session_id FROM messages WHERE id IN (SELECT value FROM json_each(?))",
        (_json([message.id for message in messages]),),
    )
    if strange := [message_id for message_id, owner in known if owner != session_id]:
        raise MessageExistsError(f"The message {strange[0]} is kept in another session.")
    here = {message_id for message_id, _ in known}
    new = {message.id: message for message in messages if message.id not in here}
    added = await transaction.execute_many(
        _TAKE_IN,
        [
            (
                message.id,
                session_id,
                message.role,
                message.content,
                message.thinking,
                message.model,
                Finish.INTERRUPTED if message.finish is Finish.STREAMING else message.finish,
                _json(message.failure),
                _json(message.usage),
                _json(message.tool_calls),
                message.tool_call_id,
                message.token_count,
                message.created_at,
                message.finished_at,
                message.parent_id,
                session_id,
            )
            for message in new.values()
        ],
    )
    if new and added != len(new):
        raise UnknownMessageError(
            f"A message of the session {session_id} follows one that is not in it."
        )
    return len(new)


_TAKE_IN = """
    INSERT INTO messages (
        id, session_id, parent_id, position, shown, role, content, thinking, model, finish,
        failure, usage, tool_calls, tool_call_id, token_count, created_at, finished_at
    )
    SELECT ?, ?, wanted.parent_id, coalesce(parent.position + 1, 0), FALSE, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?
    FROM (SELECT ? AS parent_id) AS wanted
    LEFT JOIN messages AS parent ON parent.id = wanted.parent_id AND parent.session_id = ?
    WHERE wanted.parent_id IS NULL OR parent.id IS NOT NULL
"""


_APPEND = f"""
    INSERT INTO messages (
        id, session_id, parent_id, position, role, content, thinking, model, finish, failure,
        usage, tool_calls, tool_call_id, token_count, created_at, finished_at, owner
    )
    SELECT
        :id, session.id, last.id, session.message_count, :role, :content, :thinking, :model,
        :finish, :failure, :usage, :tool_calls, :tool_call_id, :token_count, :created_at,
        :finished_at, :owner
    FROM sessions AS session LEFT JOIN messages AS last
        ON last.session_id = session.id AND last.position = session.message_count - 1 AND last.shown
    WHERE session.id = :session_id
    RETURNING {COLUMNS}
"""


PATH = """
    WITH RECURSIVE path (id, parent_id, position, shown) AS (
        SELECT id, parent_id, position, shown FROM messages WHERE id = ? AND session_id = ?
        UNION ALL
        SELECT parent.id, parent.parent_id, parent.position, parent.shown
        FROM path JOIN messages AS parent ON parent.id = path.parent_id
    )
    SELECT id, position, shown FROM path ORDER BY position
"""
"""A message of a session (the second parameter) and all before it in its branch, in order."""

_PATH_FROM_SHOWN = PATH.replace(
    "ON parent.id = path.parent_id", "ON parent.id = path.parent_id AND NOT path.shown"
)


async def cut_after(transaction: Statements, session_id: str, parent_id: str | None) -> None:
    """End the shown branch with the parent, so that what is appended follows it."""
    path: list[Row] = []
    if parent_id is not None:
        path = await transaction.execute(_PATH_FROM_SHOWN, (parent_id, session_id))
        if not path:
            raise UnknownMessageError(
                f"There is no message {parent_id} in the session {session_id}."
            )
    hidden = [message_id for message_id, _, shown in path if not shown]
    kept = next((position + 1 for _, position, shown in path if shown), 0)
    await transaction.execute(
        "UPDATE messages SET shown = FALSE WHERE session_id = ? AND position >= ? AND shown",
        (session_id, kept),
    )
    await transaction.execute_many(
        "UPDATE messages SET shown = TRUE WHERE id = ?", [(one,) for one in hidden]
    )


def message_from(row: Row) -> Message:
    """The message in a row of `COLUMNS`."""
    values = dict(zip(Message.__struct_fields__, row, strict=True))
    values["role"] = _ROLES[values["role"]]
    values["finish"] = _FINISHES[values["finish"]]
    if values["failure"] is not None:
        values["failure"] = msgspec.json.decode(values["failure"], type=Failure)
    if values["usage"] is not None:
        values["usage"] = msgspec.json.decode(values["usage"], type=Usage)
    calls = values["tool_calls"]
    values["tool_calls"] = msgspec.json.decode(calls, type=tuple[ToolCall, ...]) if calls else ()
    return Message(**values)


def _columns_of(table: str) -> str:
    return ", ".join(f"{table}.{column}" for column in Message.__struct_fields__)


def _json(value: Any) -> str | None:
    """`value` as JSON text; what is empty is not kept."""
    return msgspec.json.encode(value).decode() if value else None
