"""Saving what can be read of a damaged database into a new one; the damaged file is never written.

SQLite's own recovery reads pages without trusting what links them, but Python does not offer it;
the `sqlite3` command does, as `.recover` (https://www.sqlite.org/recovery.html), unless it was
built without, as Debian's is. So rows are taken from that where it works, and then `storage.pages`
does the same for what it did not find. The rows go into a database made anew, so its indexes,
counts and full-text index are sound whatever happened to the old ones.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from storage.database import Database
from storage.errors import CorruptDatabaseError, from_os
from storage.pages import Shape, read_rows

log = logging.getLogger(__name__)

TABLES = (
    "sessions",
    "messages",
    "images",
    "articles",
    "citations",
    "episodes",
    "facts",
    "skills",
    "unrecalled",
    "vectors",
)


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair saved."""

    into: str
    method: str
    """`recover`: SQLite's own recovery helped; `pages`: there is none here."""

    rows: dict[str, int]
    """How many rows of each table are in the new database."""

    remade_sessions: int
    """Sessions that were lost, but not their messages; they are titled “Recovered”."""

    shortened_sessions: int
    """Sessions in whose middle messages are missing."""


async def repair(path: Path, into: Path) -> Repaired:
    """Save what can be read of the database at `path` into a new one at `into`.

    Raises:
        FileExistsError: There is a file at `into`.
        CorruptDatabaseError: Nothing can be read at all.
        StorageError: The new file can't be written.
    """
    if await asyncio.to_thread(into.exists):
        raise FileExistsError(f"{into} is there already; a repair overwrites nothing.")
    try:
        with tempfile.TemporaryDirectory(prefix=".repair-", dir=into.parent) as folder:
            fresh = Path(folder) / "new.db"
            await (await Database.open(fresh)).close()
            repaired = await asyncio.to_thread(_repair, path, fresh, into, Path(folder))
            os.replace(fresh, into)
    except OSError as error:
        raise from_os(error, into) from error
    return repaired


def _repair(path: Path, fresh: Path, into: Path, folder: Path) -> Repaired:
    # Even a reader may write: it plays the WAL back. So it gets a copy.
    copy = folder / "old.db"
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, copy.with_name(copy.name + suffix))
    _play_back_log(copy)
    recovered = _recover(copy, folder / "recovered.db")
    with closing(sqlite3.connect(fresh, isolation_level=None)) as new:
        shapes = [Shape.of(new, table) for table in TABLES]
        new.execute("BEGIN")
        for source in filter(None, (recovered, copy)):
            for shape, values in read_rows(source, shapes):
                _insert(new, shape, values)
        remade = _remake_sessions(new)
        _find_uses(new)
        shortened = _close_gaps(new)
        new.execute("COMMIT")
        counts = {
            table: int(new.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in TABLES
        }
        problems = new.execute("PRAGMA integrity_check").fetchall()
    if not any(counts.values()):
        raise CorruptDatabaseError(
            f"Nothing can be read in {path}. It was left as it is.",
            "Restore a backup, if you have one.",
        )
    if problems != [("ok",)]:
        raise CorruptDatabaseError(f"The database made from {path} is not sound: {problems[0][0]}")
    return Repaired(
        into=str(into),
        method="recover" if recovered else "pages",
        rows=counts,
        remade_sessions=remade,
        shortened_sessions=shortened,
    )


def _recover(damaged: Path, into: Path) -> Path | None:
    """Run SQLite's recovery. None where there is none, or it comes to nothing."""
    command = shutil.which("sqlite3")
    if command is None:
        return None
    with (
        subprocess.Popen(
            [command, str(damaged), ".recover --ignore-freelist"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as reading,
        subprocess.Popen(
            [command, str(into)],
            stdin=reading.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as writing,
    ):
        assert reading.stdout is not None
        reading.stdout.close()
        writing.wait()
    try:
        with closing(sqlite3.connect(into)) as connection:
            connection.execute("SELECT 1 FROM messages").fetchone()
    except sqlite3.Error as error:
        log.warning("SQLite's recovery came to nothing: %s", error)
        return None
    return into


def _play_back_log(copy: Path) -> None:
    """Move what is committed in the write-ahead log into the file."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        log.warning("the write-ahead log can't be played back: %s", error)


def _insert(new: sqlite3.Connection, shape: Shape, values: list[Any]) -> None:
    row = dict(zip(shape.columns, values, strict=True))
    if shape.table == "sessions":
        # Counted anew as the messages come in.
        row["message_count"] = 0
    insert = (
        f"INSERT OR IGNORE INTO {shape.table} ({', '.join(row)})"
        f" VALUES ({', '.join('?' * len(row))})"
    )
    try:
        taken = new.execute(insert, tuple(row.values())).rowcount
        if not taken and row.get("shown"):
            # Another message may have its place: it is kept as an alternative then.
            row["shown"] = 0
            new.execute(insert, tuple(row.values()))
    except sqlite3.Error as error:
        log.warning("a row of %s was left out: %s", shape.table, error)


def _remake_sessions(new: sqlite3.Connection) -> int:
    """Give messages without a session one of the old id."""
    return new.execute(
        """
        INSERT INTO sessions (
            id, title, title_origin, message_count, created_at, updated_at
        )
        SELECT session_id, 'Recovered', 'words', sum(shown), min(created_at), max(created_at)
        FROM messages WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id
        """
    ).rowcount


def _find_uses(new: sqlite3.Connection) -> None:
    """Say which images messages show: the images may have come after them."""
    new.execute(
        """
        INSERT OR IGNORE INTO image_uses
        SELECT images.sha256, messages.id FROM messages JOIN images
        ON instr(messages.content, '](image:' || images.sha256)
        WHERE messages.role = 'user' AND instr(messages.content, '](image:')
        """
    )


def _close_gaps(new: sqlite3.Connection) -> int:
    """Number the messages anew where some are missing, so that positions run without a gap."""
    gapped = new.execute(
        """
        SELECT session_id FROM messages AS message GROUP BY session_id
        HAVING sum(shown) <> max(iif(shown, position, -1)) + 1
            OR sum(parent_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM messages AS parent WHERE parent.id = message.parent_id
            )) > 0
        """
    ).fetchall()
    for (session_id,) in gapped:
        _renumber(new, session_id)
    return len(gapped)


def _renumber(new: sqlite3.Connection, session_id: str) -> None:
    rows = new.execute(
        "SELECT id, parent_id, position, shown FROM messages WHERE session_id = ?"
        " ORDER BY shown DESC, position, key",
        (session_id,),
    ).fetchall()
    places: dict[str, int] = {}
    shown_before: list[tuple[int, str]] = []
    for message_id, parent_id, position, shown in rows:
        if parent_id not in places:
            # The nearest message of the shown branch that came before is taken for the parent.
            parent_id = next((one for at, one in reversed(shown_before) if at < position), None)
        places[message_id] = places[parent_id] + 1 if parent_id else 0
        if shown:
            shown_before.append((position, message_id))
        new.execute(
            "UPDATE messages SET parent_id = ?, position = ? WHERE id = ?",
            (parent_id, places[message_id], message_id),
        )
