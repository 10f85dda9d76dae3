"""Sessions: made, listed, changed, archived and deleted, each change counted by a version."""

# The methods are documented where they are declared, in storage.base.
# ruff: noqa: D102

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from storage import images
from storage.base import BaseSessionManager, unknown_message, unknown_session
from storage.errors import SessionExistsError, StaleSessionError
from storage.ids import new_id
from storage.messages import PATH, cut_after, take_in
from storage.records import Placed, Session, TakenIn, TitleOrigin

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from storage.sql import Row, Sql

COLUMNS = ", ".join(Session.__struct_fields__)


class SessionManager(BaseSessionManager):
    """The sessions of a database."""

    is_on_top = "json_extract(state, '$.on_top')"
    """The condition that the state says so, as it is indexed."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def create(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        title: str = "",
        model: str | None = None,
    ) -> Session:
        now = time.time()
        origin = TitleOrigin.USER if title else TitleOrigin.NONE
        rows = await self._database.write(
            "INSERT INTO sessions (id, user_id, title, title_origin, model, created_at, updated_at)"
            f" VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING {COLUMNS}",
            (session_id or new_id(), user_id, title, origin, model, now, now),
        )
        if not rows:
            raise SessionExistsError(f"There is a session {session_id} already.")
        return session_from(rows[0])

    async def get(self, session_id: str) -> Session | None:
        row = await self._database.fetch_one(
            f"SELECT {COLUMNS} FROM sessions WHERE id = ?", (session_id,)
        )
        return session_from(row) if row else None

    async def save(self, session: Session) -> Session:
        rows = await self._database.write(
            "UPDATE sessions SET title = ?, title_origin = ?, user_id = ?, model = ?, state = ?,"
            " updated_at = ?, version = version + 1"
            f" WHERE id = ? AND version = ? RETURNING {COLUMNS}",
            (
                session.title,
                session.title_origin,
                session.user_id,
                session.model,
                _json(session.state),
                time.time(),
                session.id,
                session.version,
            ),
        )
        if not rows:
            kept = await self.known(session.id)
            raise StaleSessionError(
                f"The session {session.id} was changed by somebody else: version {kept.version} is"
                f" kept, {session.version} was to be saved.",
                "Read it again and repeat the change.",
            )
        return session_from(rows[0])

    async def rename(
        self, session_id: str, title: str, origin: TitleOrigin = TitleOrigin.USER
    ) -> Session:
        ranks = list(TitleOrigin)
        lower = ranks[: ranks.index(origin) + 1]
        rows = await self._database.write(
            "UPDATE sessions SET title = ?, title_origin = ?, version = version + 1"
            f" WHERE id = ? AND title_origin IN ({', '.join('?' * len(lower))})"
            f" RETURNING {COLUMNS}",
            (title, origin, session_id, *lower),
        )
        return session_from(rows[0]) if rows else await self.known(session_id)

    async def set_state(self, session_id: str, key: str, value: Any) -> Session:
        async with self._database.transaction() as transaction:
            await transaction.hold([session_id])
            rows = await transaction.execute(
                "SELECT state FROM sessions WHERE id = ?", (session_id,)
            )
            if not rows:
                raise unknown_session(session_id)
            state: dict[str, Any] = msgspec.json.decode(rows[0][0])
            state[key] = value
            if value is None:
                del state[key]
            rows = await transaction.execute(
                "UPDATE sessions SET state = ?, version = version + 1 WHERE id = ?"
                f" RETURNING {COLUMNS}",
                (_json(state), session_id),
            )
            return session_from(rows[0])

    async def on_top(self) -> list[Session]:
        rows = await self._database.fetch_all(
            f"SELECT {COLUMNS} FROM sessions WHERE {self.is_on_top}"
            " AND archived_at IS NULL AND deleted_at IS NULL ORDER BY updated_at DESC, id DESC"
        )
        return [session_from(row) for row in rows]

    async def list(
        self, *, limit: int = 50, before: Session | None = None, archived: bool = False
    ) -> list[Session]:
        place = "archived_at IS NOT NULL" if archived else "archived_at IS NULL"
        after = "AND (updated_at, id) < (:updated_at, :id)" if before else ""
        rows = await self._database.fetch_all(
            f"SELECT {COLUMNS} FROM sessions WHERE {place} AND deleted_at IS NULL {after}"
            " ORDER BY updated_at DESC, id DESC LIMIT :limit",
            {
                "limit": limit,
                "updated_at": before and before.updated_at,
                "id": before and before.id,
            },
        )
        return [session_from(row) for row in rows]

    async def archive(self, session_id: str) -> Session:
        return await self.stamp(session_id, "archived_at", time.time())

    async def unarchive(self, session_id: str) -> Session:
        return await self.stamp(session_id, "archived_at", None)

    async def expire(self, before: float) -> int:
        expired = await self._database.write(
            "UPDATE sessions SET archived_at = ?, version = version + 1"
            " WHERE updated_at < ? AND archived_at IS NULL AND deleted_at IS NULL RETURNING id",
            (time.time(), before),
        )
        return len(expired)

    async def delete(self, session_id: str) -> None:
        await self.stamp(session_id, "deleted_at", time.time())

    async def restore(self, session_id: str) -> Session:
        return await self.stamp(session_id, "deleted_at", None)

    async def purge_deleted(self, before: float) -> int:
        ids = await self._database.fetch_all(
            "SELECT id FROM sessions WHERE deleted_at < ?", (before,)
        )
        purged = 0
        for (session_id,) in ids:
            async with self._database.transaction() as transaction:
                await transaction.hold([session_id])
                # It may have been restored meanwhile.
                still = await transaction.execute(
                    "SELECT 1 FROM sessions WHERE id = ? AND deleted_at < ?", (session_id, before)
                )
                if still:
                    await transaction.execute(
                        "DELETE FROM messages WHERE session_id = ?", (session_id,)
                    )
                    await transaction.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
                    purged += 1
        return purged

    async def fork(self, session_id: str, message_id: str) -> Session:
        async with self._database.transaction() as transaction:
            await transaction.hold([session_id])
            path = await transaction.execute(PATH, (message_id, session_id))
            if not path:
                await self.known(session_id)
                raise unknown_message(message_id)
            now = time.time()
            fork_id = new_id()
            await transaction.execute(
                "INSERT INTO sessions (id, user_id, title, title_origin, model, created_at,"
                " updated_at) SELECT ?, user_id, title, title_origin, model, ?, ? FROM sessions"
                " WHERE id = ?",
                (fork_id, now, now, session_id),
            )
            copies = [new_id() for _ in path]
            await transaction.execute_many(
                _COPY,
                [
                    (copied, fork_id, parent, now, original)
                    for copied, parent, (original, *_) in zip(
                        copies, [None, *copies[:-1]], path, strict=True
                    )
                ],
            )
            [row] = await transaction.execute(
                f"SELECT {COLUMNS} FROM sessions WHERE id = ?", (fork_id,)
            )
            return session_from(row)

    async def take_in(self, session: Session, messages: AsyncIterable[Sequence[Placed]]) -> TakenIn:
        async with self._database.transaction() as transaction:
            made = await transaction.execute(
                _TAKE_IN,
                (
                    session.id,
                    session.user_id,
                    session.title,
                    session.title_origin,
                    session.model,
                    _json(session.state),
                    session.created_at,
                    session.updated_at,
                    session.archived_at,
                ),
            )
            await transaction.hold([session.id])
            last = await transaction.execute(
                "SELECT id FROM messages WHERE session_id = ? AND shown"
                " ORDER BY position DESC LIMIT 1",
                (session.id,),
            )
            end = last[0][0] if last else None
            went_on_here = end is not None
            added = 0
            shown = None
            async for batch in messages:
                kept = await images.take_in(transaction, batch)
                added += await take_in(transaction, session.id, [one.message for one in batch])
                await images.forget_unused(transaction, kept)
                for placed in batch:
                    if placed.message.id == end:
                        went_on_here = False
                    if placed.shown:
                        shown = placed.message.id
            if added and shown is not None and not went_on_here:
                await cut_after(transaction, session.id, shown)
            [row] = await transaction.execute(
                f"SELECT {COLUMNS} FROM sessions WHERE id = ?", (session.id,)
            )
            return TakenIn(session=session_from(row), new=bool(made), added=added)

    async def stamp(self, session_id: str, column: str, value: float | None) -> Session:
        """Set the time at which a session was archived or deleted, or take it away."""
        rows = await self._database.write(
            f"UPDATE sessions SET {column} = ?, version = version + 1 WHERE id = ?"
            f" RETURNING {COLUMNS}",
            (value, session_id),
        )
        if not rows:
            raise unknown_session(session_id)
        return session_from(rows[0])


_TAKE_IN = """
    INSERT INTO sessions (
        id, user_id, title, title_origin, model, state, created_at, updated_at, archived_at
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING RETURNING id
"""

# What is being written in the original ends in the copy, where nobody writes it.
_COPY = """
    INSERT INTO messages (
        id, session_id, parent_id, position, role, content, thinking, model, finish, failure,
        usage, tool_calls, tool_call_id, token_count, created_at, finished_at
    )
    SELECT
        ?, ?, ?, position, role, content, thinking, model,
        CASE finish WHEN 'streaming' THEN 'stopped' ELSE finish END, failure,
        usage, tool_calls, tool_call_id, token_count, created_at, coalesce(finished_at, ?)
    FROM messages WHERE id = ?
"""


def session_from(row: Row) -> Session:
    """The session in a row of `COLUMNS`."""
    values = dict(zip(Session.__struct_fields__, row, strict=True))
    values["title_origin"] = TitleOrigin(values["title_origin"])
    values["state"] = msgspec.json.decode(values["state"])
    return Session(**values)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
