"""The connections to a PostgreSQL database: one that writes, a few that read, and migrations.

As with SQLite, writes go one after another over a connection of their own, so that what one
program writes stays in order; what several programs write is ordered by the server.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from storage.errors import ConnectionLostError
from storage.ids import new_id
from storage.postgres import errors
from storage.postgres.dialect import adapt, translated
from storage.postgres.full_text import PostgresFullText
from storage.sql import Parameters, Row, Sql, Statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from storage.postgres.address import Address

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA = "scrubjay"
"""All tables are in it, apart from what else the database holds."""

READERS = 3
CONNECT_SECONDS = 5
LOCK_SECONDS = 10
"""How long a write waits for another client's write."""

UPGRADING = 4874617
"""The advisory lock that is held while the schema is changed, and others of this program."""

COLLATIONS = ["und-x-icu", "pg_c_utf8", "C.utf8", "en_US.utf8"]

bypassing: ContextVar[bool] = ContextVar("bypassing", default=False)
"""Set by whoever brings a lost connection back: writes of everybody else wait until it has."""


class PostgresDatabase(Sql):
    """An open database. Made by `open`; closed by `close`, once.

    While the connection is lost every method raises `ConnectionLostError` at once. Whoever keeps
    the connection calls `catch_up` when it is back, and `found` when what waited is written:
    between the two everybody else waits.

    Attributes:
        address: Where it is.
        client: Names this client in what the server tells of changes.
        has_vectors: Whether the server has pgvector.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.client = new_id()
        self.has_vectors = False
        self.full_text = PostgresFullText(self)
        self.when_lost: Callable[[], None] = lambda: None
        self._lost = False
        self._settled = asyncio.Event()
        self._settled.set()
        self._turn = asyncio.Lock()
        self._writer: psycopg.AsyncConnection | None = None
        self._readers: AsyncConnectionPool | None = None
        self._reading: set[psycopg.AsyncConnection] = set()

    @classmethod
    async def open(cls, address: Address) -> PostgresDatabase:
        """Open a database: make its tables if there are none, upgrade them if they are older.

        Raises:
            ConnectionLostError: The server can't be reached.
            ServerRefusedError: It does not let us in, is too old, or gives no right to make tables.
            NewerDatabaseError: A newer program wrote it; it is left untouched.
        """
        database = cls(address)
        try:
            database._writer = await database.connect()
            await database._upgrade(database._writer)
            database._readers = AsyncConnectionPool(
                address.url,
                kwargs=database._options(),
                min_size=1,
                max_size=READERS,
                timeout=CONNECT_SECONDS,
                reconnect_timeout=0,
                configure=database._configure,
                open=False,
            )
            await database._readers.open()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close every connection."""
        if self._readers is not None:
            await self._readers.close()
        if self._writer is not None:
            await self._writer.close()

    @property
    def lost(self) -> bool:
        """Whether the connection is lost."""
        return self._lost

    def lose(self) -> None:
        """Note that the connection is lost."""
        self._settled.set()
        if not self._lost:
            self._lost = True
            self.when_lost()

    def cut(self) -> None:
        """Break every connection: the server does not answer, and nobody is to wait for it."""
        for connection in (*self._reading, *([self._writer] if self._writer else [])):
            if not connection.closed:
                with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as one:
                    one.shutdown(socket.SHUT_RDWR)

    def catch_up(self) -> None:
        """Let everybody but oneself wait until what had waited is written."""
        if self._lost:
            self._settled.clear()

    def found(self) -> None:
        """Let everybody read and write again."""
        self._lost = False
        self._settled.set()

    async def settled(self) -> None:
        """Wait while somebody catches up."""
        if not bypassing.get():
            await self._settled.wait()

    async def connect(self) -> psycopg.AsyncConnection:
        """A connection of one's own, which commits each statement.

        Raises: see `open`.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(self.address.url, **self._options())
        except psycopg.Error as error:
            raise errors.from_connecting(error, self.address) from error
        await self._configure(connection)
        return connection

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See `Sql.fetch_all`."""
        await self.settled()
        self._check()
        assert self._readers is not None
        for attempt in (1, 2):
            connection: psycopg.AsyncConnection | None = None
            try:
                async with self._readers.connection() as connection:
                    self._reading.add(connection)
                    try:
                        return await _run(connection, sql, parameters)
                    finally:
                        self._reading.discard(connection)
            except (psycopg.Error, PoolTimeout) as error:
                told = errors.from_postgres(error, self.address, connection)
                if not isinstance(told, ConnectionLostError):
                    raise told from error
                if attempt == 2:
                    self.lose()
                    raise told from error
                # The server may have been restarted while the connection was idle.
                with suppress(psycopg.Error, PoolTimeout):
                    await self._readers.check()
        raise AssertionError

    async def write(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See `Sql.write`. A write of which the connection was lost may have been kept."""
        async with self._having_turn() as connection:
            try:
                return await _run(connection, sql, parameters)
            except psycopg.Error as error:
                raise self._told(error, connection) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Statements]:
        """See `Sql.transaction`."""
        async with self._having_turn() as connection:
            try:
                async with connection.transaction():
                    yield PostgresStatements(self, connection)
            except psycopg.Error as error:
                raise self._told(error, connection) from error

    @asynccontextmanager
    async def _having_turn(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """The connection that writes, for oneself; first come, first served."""
        while True:
            await self.settled()
            await self._turn.acquire()
            if self._settled.is_set() or bypassing.get():
                break
            self._turn.release()  # to whoever catches up
        try:
            yield await self._writing()
        finally:
            self._turn.release()

    async def _writing(self) -> psycopg.AsyncConnection:
        self._check()
        if self._writer is None or self._writer.closed:
            try:
                self._writer = await self.connect()
            except ConnectionLostError:
                self.lose()
                raise
        return self._writer

    def _check(self) -> None:
        if self._lost and not bypassing.get():
            raise errors.lost(self.address)

    def _told(self, error: psycopg.Error, connection: psycopg.AsyncConnection) -> Exception:
        told = errors.from_postgres(error, self.address, connection)
        if isinstance(told, ConnectionLostError):
            # Before anybody else has a turn: what comes later must not overtake this.
            self.lose()
        return told

    def _options(self) -> dict[str, Any]:
        settings = {
            "search_path": f"{SCHEMA},public",
            # What is looked for has to be known when a query is planned.
            "plan_cache_mode": "force_custom_plan",
            # What was held is read as it is then, and not as it was before.
            "default_transaction_isolation": "read\\ committed",
            "lock_timeout": f"{LOCK_SECONDS}s",
            # A commit has reached the server's disk when it returns, whatever the server is set to.
            "synchronous_commit": "on",
            "scrubjay.client": self.client,
        }
        return {
            "autocommit": True,
            "password": self.address.password,
            "application_name": "scrubjay",
            "client_encoding": "UTF8",
            "connect_timeout": CONNECT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            # A server that vanished is noticed in seconds and not in hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }

    async def _configure(self, connection: psycopg.AsyncConnection) -> None:
        adapt(connection)
        # Days are those of this machine's clock now (POSIX counts the other way round).
        hours, minutes = divmod(abs(time.localtime().tm_gmtoff) // 60, 60)
        sign = "-" if time.localtime().tm_gmtoff >= 0 else "+"
        zone = f"<here>{sign}{hours:02}:{minutes:02}"
        await connection.execute("SELECT set_config('TimeZone', %s, FALSE)", (zone,))

    async def _upgrade(self, connection: psycopg.AsyncConnection) -> None:
        if connection.info.server_version < errors.OLDEST * 10_000:
            raise errors.too_old(self.address, connection.info.server_version)
        try:
            [(encoding,)] = await _run(connection, "SHOW server_encoding")
            if encoding != "UTF8":
                raise errors.wrong_encoding(self.address, encoding)
            known = sorted(MIGRATIONS.glob("[0-9]*.sql"))
            if await self._version(connection) != len(known):
                async with connection.transaction():
                    await _run(connection, "SELECT pg_advisory_xact_lock(?, 0)", (UPGRADING,))
                    version = await self._version(connection)  # Another may have been quicker.
                    if version > len(known):
                        raise errors.newer(self.address, version, len(known))
                    await self._migrate(connection, known[version:], len(known))
            self.has_vectors = await self._use_pgvector(connection)
        except psycopg.Error as error:
            raise errors.from_postgres(error, self.address, connection) from error

    async def _migrate(
        self, connection: psycopg.AsyncConnection, scripts: Sequence[Path], known: int
    ) -> None:
        if not scripts:
            return
        [(missing,)] = await _run(connection, "SELECT to_regnamespace(?) IS NULL", (SCHEMA,))
        if missing:
            await connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        letters = await self._letters(connection)
        for script in scripts:
            text = await asyncio.to_thread(script.read_text, encoding="utf-8")
            await connection.execute(text.replace("{letters}", letters).encode())
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version integer)")
        await connection.execute("DELETE FROM schema_version")
        await connection.execute("INSERT INTO schema_version VALUES (%s)", (known,))

    async def _use_pgvector(self, connection: psycopg.AsyncConnection) -> bool:
        """Let the server compare vectors, if it can and we may."""
        ready = (
            "SELECT EXISTS (SELECT 1 FROM pg_attribute"
            " WHERE attrelid = 'vectors'::regclass AND attname = 'embedding')"
        )
        [(there,)] = await _run(connection, ready)
        [(available,)] = await _run(
            connection,
            "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'vector')",
        )
        if there or not available:
            return bool(there)
        with suppress(psycopg.errors.InsufficientPrivilege):
            async with connection.transaction():
                await _run(connection, "SELECT pg_advisory_xact_lock(?, 0)", (UPGRADING,))
                await _run(connection, "CREATE EXTENSION IF NOT EXISTS vector")
                await _run(
                    connection, "ALTER TABLE vectors ADD COLUMN IF NOT EXISTS embedding vector"
                )
            return True
        return False

    async def _version(self, connection: psycopg.AsyncConnection) -> int:
        [(there,)] = await _run(connection, "SELECT to_regclass('schema_version') IS NOT NULL")
        if not there:
            return 0
        [(version,)] = await _run(connection, "SELECT version FROM schema_version")
        return int(version)

    async def _letters(self, connection: psycopg.AsyncConnection) -> str:
        """A collation that knows the letters of all scripts: ICU's, or what else there is."""
        rows = await _run(
            connection,
            "SELECT collname FROM pg_collation"
            " WHERE collencoding IN (-1, pg_char_to_encoding('UTF8')) AND collname = ANY(?)"
            " ORDER BY array_position(?, collname::text) LIMIT 1",
            (COLLATIONS, COLLATIONS),
        )
        return f'"{rows[0][0]}"' if rows else '"default"'


class PostgresStatements(Statements):
    """The statements of a transaction."""

    def __init__(self, database: PostgresDatabase, connection: psycopg.AsyncConnection) -> None:
        self._database = database
        self._connection = connection

    async def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """See `Statements.execute`."""
        try:
            return await _run(self._connection, sql, parameters)
        except psycopg.Error as error:
            raise self._database._told(error, self._connection) from error

    async def execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> int:
        """See `Statements.execute_many`."""
        rows = list(parameters)
        if not rows:
            return 0
        try:
            async with self._connection.cursor() as cursor:
                await cursor.executemany(translated(sql).encode(), rows)
                return cursor.rowcount
        except psycopg.Error as error:
            raise self._database._told(error, self._connection) from error

    async def hold(self, session_ids: Iterable[str]) -> None:
        """See `Statements.hold`. In the order of their ids, so that no two wait for each other."""
        await self.execute(
            "SELECT 1 FROM sessions WHERE id = ANY(?) ORDER BY id FOR UPDATE", (list(session_ids),)
        )


async def _run(
    connection: psycopg.AsyncConnection, sql: str, parameters: Parameters = ()
) -> list[Row]:
    cursor = await connection.execute(translated(sql).encode(), parameters)
    return await cursor.fetchall() if cursor.description else []
