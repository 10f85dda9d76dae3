"""The store on a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.articles import ArticleStore
from storage.postgres.database import SCHEMA, PostgresDatabase
from storage.records import StoreFigures
from storage.sessions import SessionManager
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from storage.postgres.address import Address
    from storage.store import AnyVectorIndex

TABLES = (
    *("sessions", "messages", "program_state", "figures", "usage_by_day", "episodes", "facts"),
    *("skills", "vectors", "articles", "citations", "unrecalled"),
)

UNSETTLED = 1_000
"""Changes of counts that may wait to be summed."""


class PostgresArticleStore(ArticleStore):
    """The articles on a server."""

    once = "session_id, md5(url)"


class PostgresSessionManager(SessionManager):
    """The sessions on a server."""

    is_on_top = "coalesce(json_extract(state, '$.on_top'), 'false') <> 'false'"


class PostgresStore(Store):
    """An open store on a server."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database)
        self._server = database
        self.articles = PostgresArticleStore(database)
        self.sessions = PostgresSessionManager(database)

    @classmethod
    async def open_address(cls, address: Address) -> PostgresStore:
        """Open the database at an address, making its tables or upgrading them as needed.

        Raises: see `PostgresDatabase.open`.
        """
        return cls(await PostgresDatabase.open(address))

    async def _load_vectors(self, space: str, dimension: int) -> AnyVectorIndex:
        if not self._server.has_vectors:
            return await super()._load_vectors(space, dimension)
        from storage.postgres.vectors import ServerVectorIndex  # late: it imports numpy

        return await ServerVectorIndex.load(self._database, space, dimension)

    async def figures(self) -> StoreFigures:
        """See `Store.figures`. What comes and goes is summed now and then, so that it stays so."""
        rows = await self._database.fetch_all(
            "SELECT name, sum(value), count(*) FROM figures GROUP BY name"
        )
        sums = {name: int(value) for name, value, _ in rows}
        if sum(count for *_, count in rows) > UNSETTLED:
            await self._database.write("SELECT settle()")
        [(size,)] = await self._database.fetch_all(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relnamespace = ?::regnamespace AND relkind = 'r'",
            (SCHEMA,),
        )
        return StoreFigures(
            sessions=sums["sessions"],
            messages=sums["messages"],
            database_bytes=int(size),
            wal_bytes=0,
            path=str(self._server.address),
        )

    async def scrub(self, *, everything: bool = True) -> bool:
        """See `Store.scrub`. What the server keeps in its log and backups is out of reach."""
        await self.vacuum()
        return False

    async def vacuum(self) -> bool:
        """See `Store.vacuum`. The room is free for what comes next."""
        for table in TABLES:
            await self._database.write(f"VACUUM {table}")
        return False

    async def check(self) -> list[str]:
        """See `Store.check`. The server looks after its files; this looks after the counts."""
        rows = await self._database.fetch_all(
            "SELECT id FROM sessions WHERE message_count <>"
            " (SELECT count(*) FROM messages WHERE session_id = sessions.id AND shown)"
        )
        return [f"The session {session_id} counts its messages wrong." for (session_id,) in rows]

    async def backup(self, path: Path) -> None:
        """See `Store.backup`."""
        raise NotImplementedError
