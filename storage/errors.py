"""What can go wrong in storage, each with what to do about it; SQLite's own errors end here."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StorageError(Exception):
    """Something that storage could not do: `message` says what, `next_step` what helps."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(f"{message} {next_step}".rstrip())
        self.message = message
        self.next_step = next_step


class NewerDatabaseError(StorageError):
    """The database was written by a later version of the program."""


class CorruptDatabaseError(StorageError):
    """The database is damaged."""


class NotADatabaseError(StorageError):
    """The file is something else: no SQLite database, or another program's."""


class ReadOnlyDatabaseError(StorageError):
    """The file or its folder can't be opened for writing."""


class DiskFullError(StorageError):
    """The disk took no more; what was committed before is safe."""


class DatabaseLockedError(StorageError):
    """Another process has kept the database locked for longer than storage waits."""


class StaleSessionError(StorageError):
    """The session was changed since it was read; nothing was overwritten."""


class SessionExistsError(StorageError):
    """A session with this id is there already."""


class UnknownSessionError(StorageError):
    """There is no session with this id."""


class UnknownMessageError(StorageError):
    """There is no message with this id, or none that the operation could be done to."""


class MessageExistsError(StorageError):
    """A message with this id is there already, in another session."""


class UnknownMemoryError(StorageError):
    """There is no episode, fact or skill with this id or name."""


class SkillExistsError(StorageError):
    """A skill with this name is there already."""


class ServerRefusedError(StorageError):
    """The database server is there and can't be used: its password, rights, database or version."""


class ConnectionLostError(StorageError):
    """The database server can't be reached now. A write may have been kept all the same."""


class OutboxFullError(StorageError):
    """So many writes wait for the database server that no more are taken."""


def from_sqlite(error: sqlite3.Error, path: Path) -> StorageError:
    """The error of this module that says what `error` means for the database at `path`.

    Result codes: https://www.sqlite.org/rescode.html
    """
    extended = getattr(error, "sqlite_errorcode", None) or 0
    match extended & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseLockedError(
                f"The database {path} is locked by another program.",
                "Close what else has it open, then try again.",
            )
        case sqlite3.SQLITE_FULL:
            return disk_full(path)
        case sqlite3.SQLITE_IOERR if extended != sqlite3.SQLITE_IOERR_READ:
            return disk_full(path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return read_only(path)
        case sqlite3.SQLITE_CORRUPT:
            return corrupt(path)
        case sqlite3.SQLITE_NOTADB:
            return not_a_database(path)
        case _:
            return StorageError(f"The database {path} reports: {error}.")


def from_os(error: OSError, path: Path) -> StorageError:
    """The error of this module that says what `error` means for the file at `path`."""
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return disk_full(path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(path)
    if error.errno == errno.EISDIR:
        return not_a_database(path)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StorageError(
            f"{path} can't be made: there is a file where its folder should be.",
            "Move that file away, or name another folder.",
        )
    return StorageError(
        f"{path} can't be opened: {error.strerror or error}.",
        "Check that its folder is there, and that you may write to it.",
    )


def disk_full(path: Path) -> DiskFullError:
    """The disk under `path` took no more."""
    return DiskFullError(
        f"The disk did not take what should be kept in {path}: it is full, or it fails.",
        "Make room on it, then try again; everything committed before is safe.",
    )


def read_only(path: Path) -> ReadOnlyDatabaseError:
    """The file at `path` can't be written."""
    return ReadOnlyDatabaseError(
        f"{path} can't be opened for writing.",
        "Give yourself write permission for the file and its folder, or set SCRUBJAY_DATA_DIR to a"
        " folder of your own.",
    )


def corrupt(path: Path) -> CorruptDatabaseError:
    """The file at `path` is damaged."""
    return CorruptDatabaseError(
        f"The database {path} is damaged. It was left as it is.",
        "Run `scrubjay doctor --repair`: it saves what can be read into a new file and keeps the"
        " old one.",
    )


def not_a_database(path: Path) -> NotADatabaseError:
    """The file at `path` is something else."""
    return NotADatabaseError(
        f"{path} is not a Scrubjay database. It was left as it is.",
        "Move it elsewhere, or set SCRUBJAY_DATA_DIR to another folder. If it was one before it was"
        " damaged, `scrubjay doctor --repair` may save what is left of it.",
    )


def newer(path: Path, found: int, known: int) -> NewerDatabaseError:
    """The file at `path` has schema `found`; this program knows `known`."""
    copy = path.with_name(f"{path.name}.schema-{known}")  # made by the newer one's first start
    back = f", or go back to {copy}, which lacks what came after" if copy.exists() else ""
    return NewerDatabaseError(
        f"The database {path} was written by a newer Scrubjay (schema {found}; this one knows"
        f" {known}). It was left as it is.",
        f"Install the newer version again{back}.",
    )
