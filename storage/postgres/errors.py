"""PostgreSQL's errors as those of `storage.errors`, each with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as postgres

from storage.errors import (
    ConnectionLostError,
    DatabaseLockedError,
    DiskFullError,
    NewerDatabaseError,
    ReadOnlyDatabaseError,
    ServerRefusedError,
    StorageError,
)

if TYPE_CHECKING:
    from storage.postgres.address import Address

OLDEST = 14
"""The first version of PostgreSQL whose SQL is enough."""

_GONE = (
    postgres.AdminShutdown,
    postgres.CrashShutdown,
    postgres.CannotConnectNow,
    postgres.IdleSessionTimeout,
    postgres.TooManyConnections,
)


def from_postgres(
    error: psycopg.Error, address: Address, connection: psycopg.AsyncConnection | None = None
) -> StorageError:
    """The error of `storage.errors` that says what `error` means.

    Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html

    Args:
        error: What psycopg raised.
        address: Where the database is.
        connection: What it was raised on.
    """
    broken = connection is not None and (connection.closed or connection.broken)
    if isinstance(error, _GONE) or broken or (not error.sqlstate and _is_connection(error)):
        return lost(address)
    match error:
        case postgres.DiskFull():
            return DiskFullError(
                f"The disk under {address} is full.",
                "Make room on it, then try again; everything committed before is safe.",
            )
        case postgres.InsufficientPrivilege():
            return no_rights(address, str(error))
        case postgres.ReadOnlySqlTransaction():
            return ReadOnlyDatabaseError(
                f"{address} takes no writes: it is a standby, or was set so.",
                "Set [storage] url to the server that takes them.",
            )
        case (
            postgres.DeadlockDetected()
            | postgres.SerializationFailure()
            | postgres.LockNotAvailable()
        ):
            return DatabaseLockedError(
                f"Another client has kept a part of {address} locked for too long.", "Try again."
            )
        case _:
            return StorageError(f"{address} reports: {_first_line(error)}.")


def from_connecting(error: psycopg.Error, address: Address) -> StorageError:
    """What it means that no connection could be made.

    libpq gives no code for it, only the server's words.
    """
    said = str(error)
    if "password" in said or "no pg_hba.conf entry" in said or "authentication failed" in said:
        return ServerRefusedError(
            f"{address} does not let this user in: {_first_line(error)}.",
            "Give the password in PGPASSWORD, in ~/.pgpass (or the file that PGPASSFILE names), or"
            " in the system's keyring (service scrubjay, user: the URL).",
        )
    if "does not exist" in said and "role" in said:
        return ServerRefusedError(
            f"{address}: the server knows no such user.",
            f"Correct [storage] url, or run `createuser {address.user}` on the server.",
        )
    if "does not exist" in said:
        return ServerRefusedError(
            f"{address}: the server has no such database.",
            f"Correct [storage] url, or run `createdb {address.database}` on the server.",
        )
    if "permission denied" in said:
        return no_rights(address, said)
    return lost(address, _first_line(error))


def lost(address: Address, reason: str = "") -> ConnectionLostError:
    """The server can't be reached."""
    return ConnectionLostError(
        f"{address} can't be reached{f': {reason}' if reason else ''}.",
        "Look at the network and at the server. What waits to be written is sent when it is back.",
    )


def no_rights(address: Address, said: str) -> ServerRefusedError:
    """The user may not make or use the tables."""
    return ServerRefusedError(
        f"{address}: the user lacks a right: {said.partition(chr(10))[0]}.",
        f"Run `GRANT CREATE, CONNECT ON DATABASE {address.database} TO {address.user}` there, or"
        " let the tables belong to this user.",
    )


def too_old(address: Address, version: int) -> ServerRefusedError:
    """The server is older than what is needed. Versions are as `server_version_num` has them."""
    return ServerRefusedError(
        f"{address} runs PostgreSQL {version // 10_000}; {OLDEST} or later is needed.",
        "Upgrade the server.",
    )


def wrong_encoding(address: Address, encoding: str) -> ServerRefusedError:
    """The database keeps texts in another encoding."""
    return ServerRefusedError(
        f"{address} keeps its texts as {encoding}, and has to keep them as UTF8.",
        f"Make another one: `createdb --encoding=UTF8 --template=template0 {address.database}`.",
    )


def newer(address: Address, found: int, known: int) -> NewerDatabaseError:
    """The tables have schema `found`; this program knows `known`."""
    return NewerDatabaseError(
        f"{address} was written by a newer Scrubjay (schema {found}; this one knows {known}). It"
        " was left as it is.",
        "Install the newer version here, too.",
    )


def _is_connection(error: psycopg.Error) -> bool:
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
