"""The outbox: writes that wait on this machine's disk until the server can be reached again."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import aiosqlite

from storage import errors, owners
from storage.errors import OutboxFullError

if TYPE_CHECKING:
    from pathlib import Path

MOST = 5_000
"""Writes that wait at most."""

MOST_BYTES = 64_000_000

_open_files: set[Path] = set()
"""Those that stores of this process use."""

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS waiting (
        number INTEGER PRIMARY KEY AUTOINCREMENT, write BLOB NOT NULL, replaces TEXT
    );
    CREATE INDEX IF NOT EXISTS waiting_replaced ON waiting (replaces) WHERE replaces IS NOT NULL;
    CREATE TABLE IF NOT EXISTS refused (write BLOB NOT NULL, reason TEXT NOT NULL);
"""


class Outbox:
    """The writes of one process for one database, in order. What `put` took survives a crash.

    The file is made with the first write, and removed when none waits.

    Attributes:
        waiting: How many writes wait.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._prefix = f"outbox-{database}-"
        self._file: Path | None = None
        self._connection: aiosqlite.Connection | None = None
        self._turn = asyncio.Lock()
        self._bytes = 0
        self.waiting = 0

    async def put(self, write: bytes, *, replaces: str | None = None) -> None:
        """Add a write. It is on the disk when this returns.

        Args:
            write: What is to be done, in the form of whoever does it.
            replaces: Of the writes with the same, only the last has to be done.

        Raises:
            OutboxFullError: So much waits that no more is taken.
            StorageError: The disk does not take it.
        """
        if self.waiting >= MOST or self._bytes + len(write) > MOST_BYTES:
            raise OutboxFullError(
                f"The database server is away, and {self.waiting:,} writes wait for it in"
                f" {self._folder}: no more are taken.",
                "Nothing that waits is lost. Bring the server back before you go on.",
            )
        # At once, and not when it is on the disk: whoever sees 0 sends the next write directly.
        self.waiting += 1
        try:
            async with self._turn:
                connection = await self._open()
                if replaces is not None:
                    cursor = await connection.execute(
                        "DELETE FROM waiting WHERE replaces = ?", (replaces,)
                    )
                    self.waiting -= cursor.rowcount
                await connection.execute(
                    "INSERT INTO waiting (write, replaces) VALUES (?, ?)", (write, replaces)
                )
                await connection.commit()
        except BaseException as error:
            self.waiting -= 1
            if isinstance(error, sqlite3.Error):
                raise errors.from_sqlite(error, self._file or self._folder) from error
            raise
        self._bytes += len(write)

    async def first(self) -> tuple[int, bytes] | None:
        """The write that has waited longest, and its number."""
        async with self._turn:
            connection = await self._open()
            async with connection.execute(
                "SELECT number, write FROM waiting ORDER BY number LIMIT 1"
            ) as cursor:
                row = await cursor.fetchone()
        return (row[0], row[1]) if row else None

    async def done(self, number: int, *, refused: str = "") -> None:
        """Take out a write that is done, or was refused for a reason: then it is kept aside."""
        async with self._turn:
            connection = await self._open()
            if refused:
                await connection.execute(
                    "INSERT INTO refused SELECT write, ? FROM waiting WHERE number = ?",
                    (refused, number),
                )
            cursor = await connection.execute("DELETE FROM waiting WHERE number = ?", (number,))
            await connection.commit()
        self.waiting -= cursor.rowcount
        if not self.waiting:
            self._bytes = 0

    async def adopt(self) -> int:
        """Take over what processes left that are gone. Returns how many writes that is."""
        adopted = 0
        for file in await asyncio.to_thread(self._left):
            number = 0
            async with aiosqlite.connect(file) as old:  # finishes what broke off there
                with suppress(sqlite3.Error):
                    async with old.execute("SELECT count(*) FROM waiting") as cursor:
                        [(number,)] = await cursor.fetchall()
            if not number:
                continue
            # From here on it is this process's: should that die, too, the next one takes it over.
            taken = self._free(await self._me())
            _open_files.add(taken)
            try:
                file.rename(taken)
            except FileNotFoundError:
                continue  # Another process was quicker.
            file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
            everything = "SELECT write, replaces FROM waiting ORDER BY number"
            async with aiosqlite.connect(taken) as old, old.execute(everything) as cursor:
                rows = await cursor.fetchall()
            connection = await self._open()
            await connection.executemany(
                "INSERT INTO waiting (write, replaces) VALUES (?, ?)", rows
            )
            await connection.commit()
            taken.unlink()
            _open_files.discard(taken)
            self.waiting += number
            adopted += number
        return adopted

    async def close(self) -> None:
        """Let go of the file; it stays where something waits in it, or was refused."""
        if self._connection is None or self._file is None:
            return
        async with self._connection.execute("SELECT count(*) FROM refused") as cursor:
            [(refused,)] = await cursor.fetchall()
        await self._connection.close()
        self._connection = None
        _open_files.discard(self._file)
        if not self.waiting and not refused:
            self._file.unlink(missing_ok=True)

    async def _open(self) -> aiosqlite.Connection:
        if self._connection is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._free(await self._me())
            self._file.touch(mode=0o600)
            _open_files.add(self._file)
            connection = await aiosqlite.connect(self._file)
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.executescript(_SCHEMA)
            self._connection = connection
        return self._connection

    async def _me(self) -> str:
        return (await asyncio.to_thread(owners.this_process)).replace(":", "-")

    def _free(self, me: str) -> Path:
        """A name that no other store of this process has taken."""
        number = 0
        while (file := self._folder / f"{self._prefix}{me}-{number}.db").exists():
            number += 1
        return file

    def _left(self) -> list[Path]:
        files = []
        for file in sorted(self._folder.glob(f"{self._prefix}*.db")):
            pid, started, _ = file.stem.removeprefix(self._prefix).split("-")
            mine = f"{pid}:{started}" == owners.this_process()
            if file not in _open_files if mine else not owners.lives(f"{pid}:{started}"):
                files.append(file)
        return files
