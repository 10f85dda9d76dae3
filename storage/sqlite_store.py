"""The store in an SQLite file: what everybody has who chose nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.database import Database
from storage.records import StoreFigures
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path


class SqliteStore(Store):
    """An open store in a file."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._file = database

    @classmethod
    async def open_file(cls, path: Path) -> SqliteStore:
        """Open the database at `path`, making it or upgrading it as needed.

        Raises: see `Database.open`.
        """
        return cls(await Database.open(path))

    async def figures(self) -> StoreFigures:
        """See `Store.figures`."""
        counts: dict[str, int] = dict(
            await self._database.fetch_all("SELECT name, value FROM figures")
        )
        path = self._file.path
        return StoreFigures(
            sessions=counts["sessions"],
            messages=counts["messages"],
            database_bytes=_size(path),
            wal_bytes=_size(path.with_name(path.name + "-wal")),
            path=str(path),
        )

    async def scrub(self, *, everything: bool = True) -> bool:
        """See `Store.scrub`."""
        indexes = ["facts_index", "episodes_index", "skills_index"]
        if everything:
            indexes += ["messages_index", "titles_index", "articles_index"]
        return await self._file.scrub(indexes, copies=everything)

    async def vacuum(self) -> bool:
        """See `Store.vacuum` and `Database.vacuum`."""
        return await self._file.vacuum()

    async def check(self) -> list[str]:
        """See `Store.check`."""
        return await self._file.check()

    async def backup(self, path: Path) -> None:
        """See `Store.backup`."""
        await self._file.backup(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
