"""The one door to everything that is kept, wherever it is."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from storage.articles import ArticleStore
from storage.episodes import EpisodeStore
from storage.errors import ServerRefusedError
from storage.facts import FactStore
from storage.images import Images
from storage.message_vectors import MessageVectors
from storage.messages import Messages
from storage.purging import Purging
from storage.recall_source import RecallSource
from storage.records import StoreFigures, UsageTotals
from storage.search import Search
from storage.sessions import SessionManager
from storage.skills import SkillStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from storage.changes import Change
    from storage.postgres.address import Address
    from storage.postgres.vectors import ServerVectorIndex
    from storage.purging import Purged
    from storage.sql import Sql, Statements
    from storage.usage import Unit, UsageRow
    from storage.vectors import VectorIndex

    AnyVectorIndex: TypeAlias = VectorIndex | ServerVectorIndex


class Store(ABC):
    """An open store. Every method raises the errors of `storage.errors`.

    Close it: its connections keep the process alive until then.
    """

    sessions: SessionManager
    messages: Messages

    def __init__(self, database: Sql) -> None:
        self._database = database
        self.sessions = SessionManager(database)
        self.messages = Messages(database)
        self.images = Images(database)
        self.search = Search(database)
        self.recall_source = RecallSource(database)
        self.message_vectors = MessageVectors(database)
        self.episodes = EpisodeStore(database)
        self.facts = FactStore(database)
        self.skills = SkillStore(database)
        self.articles = ArticleStore(database)
        self.purging = Purging(database)
        self._indexes: dict[tuple[str, int], AnyVectorIndex] = {}
        self._loading = asyncio.Lock()

    @staticmethod
    async def open(place: Path | Address, *, waiting_in: Path | None = None) -> Store:
        """Open the store in a file or on a server, making it or upgrading it as needed.

        Args:
            place: The file, or the server's address.
            waiting_in: The folder for what has to wait while a server is out of reach.

        Raises: see `Database.open`, and `PostgresDatabase.open` for a server's address.
        """
        if isinstance(place, Path):
            from storage.sqlite_store import SqliteStore

            return await SqliteStore.open_file(place)
        try:
            from storage.postgres.store import PostgresStore
        except ImportError as error:
            raise ServerRefusedError(
                "What talks to PostgreSQL is not installed here.",
                "Run `pip install 'scrubjay[postgres]'`, or take url out of the settings.",
            ) from error
        return await PostgresStore.open_address(place, waiting_in)

    @property
    def derived(self) -> Path | None:
        """A folder, there or not, for what can be made anew from what is kept here.

        `scrub` removes it. None where there is no place for it.
        """
        return None

    async def close(self) -> None:
        """Write what is queued and let go of the database.

        Raises:
            StorageError: The last embeddings could not be written; they will be missing.
        """
        try:
            for index in self._indexes.values():
                await index.close()
        finally:
            await self._database.close()

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def vectors(self, space: str, dimension: int) -> AnyVectorIndex:
        """The index of the vectors that one embedding model made; read from disk at first use."""
        async with self._loading:
            key = space, dimension
            if key not in self._indexes:
                self._indexes[key] = await self._load_vectors(space, dimension)
            return self._indexes[key]

    async def _load_vectors(self, space: str, dimension: int) -> AnyVectorIndex:
        from storage.vectors import VectorIndex  # late: it imports numpy

        return await VectorIndex.load(self._database, space, dimension)

    async def knows(self, entity_id: str | None) -> bool:
        """Whether there is any fact, episode or skill of a person, be it one that holds no more."""
        tables = ("facts", "episodes", "skills")
        any_of = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE entity_id IS ?)" for table in tables
        )
        row = await self._database.fetch_one(f"SELECT {any_of}", [entity_id] * len(tables))
        return bool(row and row[0])

    @property
    def database(self) -> Sql:
        """What everything is kept in."""
        return self._database

    @property
    def compares_vectors(self) -> bool:
        """Whether a server does what else is done in memory: compare vectors."""
        return False

    @abstractmethod
    def filling(self) -> AbstractAsyncContextManager[Statements]:
        """A transaction that writes rows as they are in another store, keys and counts too."""

    @abstractmethod
    async def filled(self) -> None:
        """Let new rows come after those that were written by `filling`."""

    @abstractmethod
    def watch(self) -> AsyncGenerator[Change, None]:
        """What other programs change from now on, soon after they do. It never ends by itself."""

    @abstractmethod
    async def figures(self) -> StoreFigures:
        """How much is kept. Its cost does not grow with that."""

    async def usage(
        self, *, session_id: str | None = None, since: float | None = None
    ) -> UsageTotals:
        """What answers cost, in one session or in all, from a time on or ever."""
        if session_id is None and since is None:
            sums = f"SELECT sum(answers), {_SUMS} FROM usage_by_day"
        else:
            sums = f"SELECT count(*), {_SUMS} FROM messages WHERE usage IS NOT NULL"
        parameters: list[str | float] = []
        if session_id is not None:
            sums += " AND session_id = ?"
            parameters.append(session_id)
        if since is not None:
            sums += " AND finished_at >= ?"
            parameters.append(since)
        [(answers, prompt_tokens, eval_tokens, eval_seconds)] = await self._database.fetch_all(
            sums, parameters
        )
        return UsageTotals(
            answers=int(answers or 0),
            prompt_tokens=int(prompt_tokens),
            eval_tokens=int(eval_tokens),
            eval_seconds=float(eval_seconds),
        )

    async def usage_by(
        self, unit: Unit, *, since: float | None = None, limit: int = 100
    ) -> list[UsageRow]:
        """What answers cost by day (the latest first), by model or by session (the costliest)."""
        from storage.usage import usage_by

        return await usage_by(self._database, unit, since=since, limit=limit)

    async def state(self, name: str) -> Any:
        """What was kept under a name by `set_state`; None when nothing was."""
        row = await self._database.fetch_one(
            "SELECT value FROM program_state WHERE name = ?", (name,)
        )
        return msgspec.json.decode(row[0]) if row else None

    async def set_state(self, name: str, value: Any) -> None:
        """Keep something small that belongs to no session, as JSON."""
        await self._database.write(
            "INSERT INTO program_state VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, msgspec.json.encode(value).decode()),
        )

    async def forget_vectors(self, owner_ids: Sequence[str]) -> None:
        """Drop the embeddings of texts, in memory and on the disk."""
        for index in self._indexes.values():
            await index.remove(owner_ids)
            await index.flush()
        async with self._database.transaction() as transaction:
            await transaction.execute_many(
                "DELETE FROM vectors WHERE owner_id = ?", [(one,) for one in owner_ids]
            )

    async def purge(self, session_ids: Sequence[str], *, keep_facts: bool = False) -> Purged:
        """Remove sessions for good, with what was found for them and learnt from them alone.

        Their words are gone from the disk after `scrub`.

        Args:
            session_ids: Which, deleted before or not.
            keep_facts: Keep the facts that were learnt from them alone.
        """
        purged, owners = await self.purging.purge(session_ids, keep_facts=keep_facts)
        await self.forget_vectors(owners)
        return purged

    @abstractmethod
    async def scrub(self, *, everything: bool = True) -> bool:
        """Leave no trace of what was removed: in full-text indexes, the log, or older copies.

        Args:
            everything: False when memories alone were removed, and no messages.

        Returns:
            Whether all of it is gone; something stays in the log while another process reads it.
        """

    @abstractmethod
    async def vacuum(self) -> bool:
        """Give the room of what was removed back to the disk. Returns as `scrub` does."""

    @abstractmethod
    async def check(self) -> list[str]:
        """What is wrong with what is kept; all of it is read. Empty when all is well."""

    @abstractmethod
    async def backup(self, path: Path) -> None:
        """Copy everything, as of now, to a new SQLite file, while others read and write.

        Raises:
            FileExistsError: There is a file at `path`.
        """


_SUMS = ", ".join(
    f"coalesce(sum({name}), 0)" for name in ("prompt_tokens", "eval_tokens", "eval_seconds")
)
