"""The SQLite file: one connection that writes, a few that read, transactions, migrations, backup.

The file is in WAL mode, so readers never wait for the writer and it never waits for them.
`synchronous` is FULL: a commit has reached the disk when it returns, and survives a power cut. The
price is one fsync a commit; a chat commits a few times a second at most.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aiosqlite

from storage import errors
from storage.full_text import SqliteFullText
from storage.sql import Parameters, Row, Sql, Statements
from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

APPLICATION_ID = int.from_bytes(b"Jay1", "big")
"""Marks the file as this program's (https://www.sqlite.org/pragma.html#pragma_application_id)."""

MIGRATIONS = Path(__file__).parent / "migrations"
PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "temp_store = MEMORY",
    # What is purged leaves no trace in the file's free pages.
    "secure_delete = ON",
    # A write-ahead log that one large transaction has blown up shrinks to this afterwards.
    "journal_size_limit = 16777216",
)
READERS = 3
BUSY_SECONDS = 10.0
"""How long a write waits for another process's write."""


class Database(Sql):
    """An open database. Made by `open`; closed by `close`, once.

    Writes are ordered: each waits for its turn, first come, first served. Every method raises the
    errors of `storage.errors`.
    """

    def __init__(self, path: Path, writer: aiosqlite.Connection) -> None:
        self.path = path
        self._writer = writer
        self._turn = asyncio.Lock()
        self._readers: list[aiosqlite.Connection] = []
        self._idle: list[aiosqlite.Connection] = []
        self._free = asyncio.Semaphore(READERS)
        self._closed = False
        self.full_text = SqliteFullText(self)

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Open the database at `path`: make it if it is missing, upgrade it if it is older.

        A new file has mode 0600, and its folder, if that is new, 0700. Before an upgrade the file
        is copied to `<name>.schema-<old version>`.

        Raises:
            NewerDatabaseError, NotADatabaseError, CorruptDatabaseError: The file is left untouched.
            ReadOnlyDatabaseError, DiskFullError, DatabaseLockedError: It can't be used now.
        """
        _prepare_file(path)
        database = cls(path, await _connect(path))
        try:
            await database._upgrade()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Finish what is queued, move the WAL into the file and close every connection."""
        self._closed = True
        async with AsyncExitStack() as stack:
            for connection in (self._writer, *self._readers):
                stack.push_async_callback(connection.close)

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See `Sql.fetch_all`."""
        async with self._free:
            # Again and again: whoever reads meanwhile may have taken the one that was opened.
            while not self._idle:
                await to_its_end(self._open_reader())
            reader = self._idle.pop()
            try:
                return await to_its_end(_run(reader, self.path, sql, parameters), reader.interrupt)
            finally:
                self._idle.append(reader)

    async def write(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See `Sql.write`."""
        async with self._turn:
            return await _run(self._writer, self.path, sql, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """See `Sql.transaction`."""
        async with self._turn:
            try:
                await _run(self._writer, self.path, "BEGIN IMMEDIATE")
                yield Transaction(self.path, self._writer)
                await _run(self._writer, self.path, "COMMIT")
            except BaseException:
                # Queued before anybody else's statement, even when this is cancelled once more.
                await self._writer.rollback()
                raise

    async def data_version(self) -> int:
        """A number that changes when another process has written, and not when this one has."""
        [(version,)] = await self.write("PRAGMA data_version")
        return int(version)

    async def backup(self, path: Path) -> None:
        """Copy the database, as of now, to a new file at `path`, while others read and write.

        Raises:
            FileExistsError: There is a file at `path`.
        """
        if await asyncio.to_thread(path.exists):
            raise FileExistsError(f"{path} is there already; a backup overwrites nothing.")
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        try:
            _create_private(part)
            source = await _connect(self.path)
            try:
                await _run(source, self.path, "VACUUM INTO ?", (str(part),))
            finally:
                await source.close()
            await asyncio.to_thread(_flush, part)
            os.replace(part, path)
        except OSError as error:
            raise errors.from_os(error, path) from error
        finally:
            part.unlink(missing_ok=True)

    async def scrub(self, indexes: Iterable[str], *, copies: bool) -> bool:
        """Let nothing remain on the disk of what was deleted before.

        The words of a deleted text stay in a full-text index until its parts are merged, and in the
        write-ahead log until that is emptied.

        Args:
            indexes: Full-text indexes to merge.
            copies: Whether the copies that were made before an upgrade are removed, too.

        Returns:
            Whether the log was emptied; not while another process reads what it was before.
        """
        for index in indexes:
            await self.write(f"INSERT INTO {index} ({index}) VALUES ('optimize')")
        for copy in self.path.parent.glob(f"{self.path.name}.schema-*") if copies else ():
            copy.unlink(missing_ok=True)
        return await self._empty_log()

    async def vacuum(self) -> bool:
        """Write the file anew, as small as it can be. Takes up to three times its room meanwhile.

        Returns:
            Whether the log was emptied afterwards.
        """
        async with self._turn:
            connection = await _connect(self.path)
            try:
                # What is written anew first goes to a nameless file, and need not fit into memory.
                await _run(connection, self.path, "PRAGMA temp_store = FILE")
                await _run(connection, self.path, "VACUUM")
            finally:
                await connection.close()
        return await self._empty_log()

    async def _empty_log(self) -> bool:
        [(busy, *_)] = await self.write("PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy

    async def check(self) -> list[str]:
        """What SQLite finds wrong with the file; it reads all of it. Empty when all is well."""
        try:
            rows = await self.fetch_all("PRAGMA integrity_check")
        except errors.CorruptDatabaseError as error:
            return [error.message]
        return [] if rows == [("ok",)] else [str(problem) for (problem,) in rows]

    async def _open_reader(self) -> None:
        reader = await _connect(self.path)
        if self._closed:
            # Nobody would close it later, and its thread would keep the process alive.
            await reader.close()
            raise ValueError("The database is closed.")
        self._readers.append(reader)
        self._idle.append(reader)
        await _run(reader, self.path, "PRAGMA query_only = ON")

    async def _upgrade(self) -> None:
        known = _migrations()
        version = await self._recognise(len(known))
        mode = await _run(self._writer, self.path, "PRAGMA journal_mode")
        if mode != [("wal",)]:
            await self._use_wal()
        if version == len(known):
            return
        async with self.transaction() as transaction:
            # Another process may have been quicker.
            [(version,)] = await transaction.execute("PRAGMA user_version")
            if version == len(known):
                return
            if version:
                copy = self.path.with_name(f"{self.path.name}.schema-{version}")
                copy.unlink(missing_ok=True)
                await self.backup(copy)
            for script in known[version:]:
                for statement in _statements(script.read_text(encoding="utf-8")):
                    await transaction.execute(statement)
            await transaction.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            await transaction.execute(f"PRAGMA user_version = {len(known)}")

    async def _recognise(self, known: int) -> int:
        """The file's schema version: 0 for an empty file."""
        [(application, version, tables)] = await _run(
            self._writer,
            self.path,
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
            " FROM pragma_application_id, pragma_user_version",
        )
        if application != APPLICATION_ID and (application or version or tables):
            raise errors.not_a_database(self.path)
        if version > known:
            raise errors.newer(self.path, version, known)
        return int(version)

    async def _use_wal(self) -> None:
        # The switch needs the file alone and does not wait for it by itself.
        deadline = asyncio.get_running_loop().time() + BUSY_SECONDS
        while True:
            try:
                await _run(self._writer, self.path, "PRAGMA journal_mode = WAL")
            except errors.DatabaseLockedError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.01)
            else:
                return


class Transaction(Statements):
    """The statements between a `BEGIN IMMEDIATE` and its `COMMIT`."""

    def __init__(self, path: Path, writer: aiosqlite.Connection) -> None:
        self._path = path
        self._writer = writer

    async def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See `Statements.execute`."""
        return await _run(self._writer, self._path, sql, parameters)

    async def execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> int:
        """See `Statements.execute_many`."""
        # Made sure of before, as it would stop half-way.
        encodable = [_encodable(each) for each in parameters]
        try:
            cursor = await self._writer.executemany(sql, encodable)
        except sqlite3.Error as error:
            raise errors.from_sqlite(error, self._path) from error
        return cursor.rowcount

    async def hold(self, session_ids: Iterable[str]) -> None:
        """Nothing has to be done: from its beginning the transaction holds the whole file."""


async def _run(
    connection: aiosqlite.Connection, path: Path, sql: str, parameters: Parameters = ()
) -> list[Row]:
    try:
        try:
            rows = await connection.execute_fetchall(sql, parameters)
        except UnicodeEncodeError:
            rows = await connection.execute_fetchall(sql, _encodable(parameters))
    except sqlite3.Error as error:
        raise errors.from_sqlite(error, path) from error
    return cast("list[Row]", rows)


async def _connect(path: Path) -> aiosqlite.Connection:
    async def connected() -> aiosqlite.Connection:
        return await aiosqlite.connect(
            path, isolation_level=None, timeout=BUSY_SECONDS, cached_statements=256
        )

    connecting = asyncio.ensure_future(connected())
    try:
        connection = await to_its_end(connecting)
    except sqlite3.Error as error:
        raise errors.from_sqlite(error, path) from error
    except asyncio.CancelledError:
        if not connecting.cancelled() and connecting.exception() is None:
            await connecting.result().close()
        raise
    try:
        for pragma in PRAGMAS:
            await _run(connection, path, f"PRAGMA {pragma}")
    except BaseException:
        # Its thread would keep the process alive.
        await connection.close()
        raise
    return connection


def _encodable(parameters: Parameters) -> Parameters:
    """Parameters without lone surrogates: a file name may bring them, no encoding has them."""

    def replaced(value: Any) -> Any:
        if isinstance(value, str) and not value.isascii():
            return value.encode("utf-8", "replace").decode("utf-8")
        return value

    if isinstance(parameters, Mapping):
        return {name: replaced(value) for name, value in parameters.items()}
    return [replaced(value) for value in parameters]


def _prepare_file(path: Path) -> None:
    """Make the file, for its owner alone: SQLite gives the files beside it the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create_private(path)
        elif not path.is_file():
            raise errors.not_a_database(path)
        elif not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise errors.read_only(path)
    except OSError as error:
        raise errors.from_os(error, path) from error


def _create_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _migrations() -> list[Path]:
    """The scripts `NNNN_name.sql`, in order; the number of the last is the schema's version."""
    return sorted(MIGRATIONS.glob("[0-9]*.sql"))


def _statements(script: str) -> list[str]:
    """The statements of a script, triggers whole."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
