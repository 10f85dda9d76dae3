"""Removing sessions for good, with everything that came from them, and finding copies that stay."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from storage.images import forget_unused
from storage.memory import as_json
from storage.records import Session
from storage.sessions import session_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from storage.sql import Sql


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """How much goes with sessions."""

    sessions: int
    messages: int
    articles: int
    """What research found for them, and what research for other sessions found in them."""

    episodes: int
    facts: int
    """Those that no message of another session tells."""


class Purging:
    """What goes when sessions go."""

    def __init__(self, database: Sql) -> None:
        self._database = database
        self._file: Path | None = getattr(database, "path", None)

    async def deleted(self, before: float | None = None) -> list[Session]:
        """The deleted sessions that are still kept, those deleted first first.

        Args:
            before: Only those that were deleted before this time.
        """
        rows = await self._database.fetch_all(
            f"SELECT {', '.join(Session.__struct_fields__)} FROM sessions"
            " WHERE deleted_at < ? ORDER BY deleted_at, id",
            (math.inf if before is None else before,),
        )
        return [session_from(row) for row in rows]

    async def outline(self, session_ids: Sequence[str]) -> Purged:
        """How much would go with these sessions."""
        counts = {
            table: (
                await self._database.fetch_all(
                    f"SELECT count(*) FROM {table} WHERE {condition}", {"ids": as_json(session_ids)}
                )
            )[0][0]
            for table, condition in _GOING.items()
        }
        return Purged(**counts)

    async def purge(
        self, session_ids: Sequence[str], *, keep_facts: bool = False
    ) -> tuple[Purged, list[str]]:
        """Remove sessions, all or none, deleted before or not.

        Args:
            session_ids: Which.
            keep_facts: Keep the facts that were learnt from them alone.

        Returns:
            How much went, and the ids of what may have vectors.
        """
        counts: dict[str, int] = {}
        owners: list[str] = []
        async with self._database.transaction() as transaction:
            await transaction.hold(session_ids)
            for table, condition in _GOING.items():
                if table == "facts" and keep_facts:
                    counts[table] = 0
                    continue
                gone = await transaction.execute(
                    f"DELETE FROM {table} WHERE {condition} RETURNING id",
                    {"ids": as_json(session_ids)},
                )
                counts[table] = len(gone)
                owners += [id for (id,) in gone]
            await forget_unused(transaction)
        return Purged(**counts), owners

    async def copies(self, session_ids: Sequence[str], others: Sequence[Path]) -> list[Path]:
        """The copies of the database that hold one of these sessions, or may.

        Args:
            session_ids: Which.
            others: Copies that are known beside those in the database's folder.
        """
        return await asyncio.to_thread(self._copies, session_ids, others)

    def _copies(self, session_ids: Sequence[str], others: Sequence[Path]) -> list[Path]:
        path = self._file
        if path is None:  # A server's copies are its own business.
            return [file for file in others if file.is_file() and _may_hold(file, session_ids)]
        own = {path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")}
        beside = [file for file in sorted(path.parent.glob(f"{path.name}*")) if file not in own]
        found = dict.fromkeys([*beside, *others])
        return [file for file in found if file.is_file() and _may_hold(file, session_ids)]


# In this order: whether a fact goes is seen from the messages, while they are there.
_GONE = "(SELECT value FROM json_each(:ids))"
_GOING = {
    "facts": f"""
        (session_id IN {_GONE} OR EXISTS (
            SELECT 1 FROM json_each(source_ids) AS source
            JOIN messages ON messages.id = source.value WHERE messages.session_id IN {_GONE}
        )) AND NOT EXISTS (
            SELECT 1 FROM json_each(source_ids) AS source
            JOIN messages ON messages.id = source.value WHERE messages.session_id NOT IN {_GONE}
        )""",
    "episodes": f"session_id IN {_GONE}",
    "articles": f"""
        session_id IN {_GONE} OR EXISTS (
            SELECT 1 FROM json_each(:ids) AS gone
            WHERE substr(articles.url, 1, length(gone.value) + 9) = 'session:' || gone.value || '#'
        )""",
    "messages": f"session_id IN {_GONE}",
    "sessions": f"id IN {_GONE}",
}


def _may_hold(file: Path, session_ids: Sequence[str]) -> bool:
    """Whether a copy holds one of these sessions; true when that can't be told."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as copy:
            rows = copy.execute(
                "SELECT 1 FROM sessions WHERE id IN (SELECT value FROM json_each(?)) LIMIT 1",
                (as_json(session_ids),),
            )
            return rows.fetchone() is not None
    except sqlite3.Error:
        return True
