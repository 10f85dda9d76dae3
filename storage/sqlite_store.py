"""The store in an SQLite file: what everybody has who chose nothing else."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, cast

from storage.changes import SessionTouched
from storage.database import Database
from storage.records import StoreFigures
from storage.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from storage.changes import Change
    from storage.sql import Statements

LOOK_SECONDS = 0.3
"""Between two looks whether another process has written."""

WATCHED = 200
"""Sessions in which it is noticed, the latest."""


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

    @property
    def derived(self) -> Path:
        """See `Store.derived`."""
        path = self._file.path
        return path.with_name(f"{path.name}-derived")

    def filling(self) -> AbstractAsyncContextManager[Statements]:
        """See `Store.filling`."""
        return self._database.transaction()

    async def filled(self) -> None:
        """See `Store.filled`. SQLite gives the next key by itself."""

    async def watch(self) -> AsyncGenerator[Change, None]:
        """See `Store.watch`: SQLite tells that something was changed, and the versions tell what.

        https://www.sqlite.org/pragma.html#pragma_data_version
        """
        seen = await self._file.data_version()
        versions = await self._versions()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = await self._file.data_version()
            if now == seen:
                continue
            seen = now
            before, versions = versions, await self._versions()
            for session_id, version in versions.items():
                if before.get(session_id) != version:
                    yield SessionTouched(session_id)
            for session_id in before.keys() - versions.keys():
                yield SessionTouched(session_id)

    async def _versions(self) -> dict[str, object]:
        """What changes with the latest sessions and the answers that are written in them."""
        rows = await self._database.fetch_all(
            "SELECT id, version FROM sessions ORDER BY updated_at DESC LIMIT ?", (WATCHED,)
        )
        versions: dict[str, object] = dict(cast("list[tuple[str, object]]", rows))
        rows = await self._database.fetch_all(
            "SELECT session_id, length(content) FROM messages WHERE finish = 'streaming'"
        )
        return versions | {name: (versions.get(name), length) for name, length in rows}

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
            await asyncio.to_thread(shutil.rmtree, self.derived, ignore_errors=True)
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
