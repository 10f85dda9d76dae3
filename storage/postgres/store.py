"""The store on a PostgreSQL server."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from storage.articles import ArticleStore
from storage.changes import SessionTouched
from storage.copying import copy
from storage.errors import ConnectionLostError
from storage.images import Images
from storage.messages import Messages
from storage.postgres.database import SCHEMA, PostgresDatabase
from storage.postgres.images import PostgresImages
from storage.postgres.later import Later
from storage.postgres.link import Link
from storage.postgres.memories import (
    PostgresEpisodeStore,
    PostgresFactStore,
    PostgresSkillStore,
)
from storage.postgres.messages import PostgresMessages
from storage.postgres.outbox import Outbox
from storage.postgres.replay import Replay
from storage.postgres.sessions import PostgresSessionManager
from storage.postgres.writes import Note
from storage.records import StoreFigures
from storage.sessions import SessionManager
from storage.sqlite_store import SqliteStore
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from storage.changes import Change
    from storage.postgres.address import Address
    from storage.sql import Statements
    from storage.store import AnyVectorIndex

TABLES = (
    *("sessions", "messages", "program_state", "figures", "usage_by_day", "episodes", "facts"),
    *("skills", "vectors", "articles", "citations", "unrecalled", "images", "image_uses"),
)

KEYED = ("sessions", "articles", "episodes", "facts", "skills")
"""Those whose keys the server counts by itself."""

UNSETTLED = 1_000
"""Changes of counts that may wait to be summed."""


class PostgresArticleStore(ArticleStore):
    """The articles on a server."""

    once = "session_id, md5(url)"


class PostgresStore(Store):
    """An open store on a server."""

    def __init__(self, database: PostgresDatabase, outbox: Outbox | None = None) -> None:
        super().__init__(database)
        self._server = database
        self._outbox = outbox
        self._watchers: list[asyncio.Queue[Change]] = []
        self._later = later = Later(database, outbox, self._tell)
        self.sessions = PostgresSessionManager(database, later)
        self.messages = PostgresMessages(database, later)
        self.images = PostgresImages(database, later)
        self.episodes = PostgresEpisodeStore(database, later)
        self.facts = PostgresFactStore(database, later)
        self.skills = PostgresSkillStore(database, later)
        self.articles = PostgresArticleStore(database)
        replay = Replay(
            database,
            Messages(database),
            SessionManager(database),
            Images(database),
            super().set_state,
        )
        self._link = Link(database, outbox, replay.do, self._tell)

    @classmethod
    async def open_address(cls, address: Address, waiting_in: Path | None) -> PostgresStore:
        """Open the database at an address, making its tables or upgrading them as needed.

        Args:
            address: Where it is.
            waiting_in: The folder for what has to wait while the server is out of reach. None:
                such writes fail.

        Raises: see `PostgresDatabase.open`.
        """
        outbox = Outbox(waiting_in, address.name) if waiting_in is not None else None
        store = cls(await PostgresDatabase.open(address), outbox)
        try:
            await store._link.begin()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """See `Store.close`. What waits goes on waiting on the disk, for the next start."""
        await self._link.close()
        try:
            await super().close()
        finally:
            if self._outbox is not None:
                await self._outbox.close()

    @property
    def compares_vectors(self) -> bool:
        """See `Store.compares_vectors`."""
        return self._server.has_vectors

    @asynccontextmanager
    async def filling(self) -> AsyncIterator[Statements]:
        """See `Store.filling`."""
        async with self._database.transaction() as transaction:
            await transaction.execute("SELECT set_config('scrubjay.copying', 'yes', TRUE)")
            yield transaction

    async def filled(self) -> None:
        """See `Store.filled`."""
        counters = {table: ("key", f"{table}_key_seq") for table in KEYED}
        counters |= {"messages": ("key", "messages_key"), "vectors": ("rowid", "vectors_rowid")}
        for table, (column, counter) in counters.items():
            await self._database.write(
                f"SELECT setval('{counter}', coalesce(max({column}), 0) + 1, FALSE) FROM {table}"
            )
        await self._database.write("SELECT settle()")
        await self.vacuum(analyze=True)

    async def watch(self) -> AsyncGenerator[Change, None]:
        """See `Store.watch`."""
        changes: asyncio.Queue[Change] = asyncio.Queue()
        self._watchers.append(changes)
        try:
            while True:
                yield await changes.get()
        finally:
            self._watchers.remove(changes)

    def _tell(self, change: Change) -> None:
        if isinstance(change, SessionTouched):
            self._later.mirror.forget(change.session_id)
        for watcher in self._watchers:
            watcher.put_nowait(change)

    async def state(self, name: str) -> Any:
        """See `Store.state`. None while the server is out of reach."""
        try:
            return await super().state(name)
        except ConnectionLostError:
            return None

    async def set_state(self, name: str, value: Any) -> None:
        """See `Store.set_state`."""
        set_state = super().set_state

        async def now() -> bool:
            await set_state(name, value)
            return True

        await self._later.write(Note(name=name, value=value), now, lambda: True)

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
            " WHERE relnamespace = CAST(? AS regnamespace) AND relkind = 'r'",
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
        return await self.vacuum()

    async def vacuum(self, *, analyze: bool = False) -> bool:
        """See `Store.vacuum`. The room is free for what comes next."""
        for table in TABLES:
            await self._database.write(f"VACUUM {'ANALYZE' if analyze else ''} {table}")
        return True

    async def check(self) -> list[str]:
        """See `Store.check`. The server looks after its files; this looks after the counts."""
        rows = await self._database.fetch_all(
            "SELECT id FROM sessions WHERE message_count <>"
            " (SELECT count(*) FROM messages WHERE session_id = sessions.id AND shown)"
        )
        return [f"The session {session_id} counts its messages wrong." for (session_id,) in rows]

    async def backup(self, path: Path) -> None:
        """See `Store.backup`. It is a copy in a file, and can be copied back."""
        if await asyncio.to_thread(path.exists):
            raise FileExistsError(f"{path} is there already; a backup overwrites nothing.")
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        try:
            if not await asyncio.to_thread(path.parent.is_dir):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path.parent)
            async with await SqliteStore.open_file(part) as file:
                await copy(self, file)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
