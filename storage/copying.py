"""Copying everything from one store to another, of whatever kind they are.

Rows are read in the order of their keys, written as they are, and noted in the same transaction, so
that a copy that broke off goes on where it was. In the end both stores are read once more, and
compared by the numbers of their rows and by checksums.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from storage.articles import Article
from storage.errors import StorageError
from storage.records import Episode, Fact, Message, Session, Skill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import TypeAlias

    from storage.sql import Row, Statements
    from storage.store import Store

    Progress: TypeAlias = Callable[[str, int, int], None]

BATCH = 500
"""Rows that are held at a time."""

MARK = "copied so far"
"""The destination's note of how far a copy has come."""


class Table(msgspec.Struct, frozen=True):
    """A table that is copied."""

    name: str
    columns: tuple[str, ...]
    order: tuple[str, ...]
    """Columns that no two rows share, in the order of which rows are copied."""

    same: tuple[str, ...]
    """Columns that tell which row a row is, in both stores."""

    truths: frozenset[str] = frozenset()
    """Columns that hold yes or no."""

    heavy: bool = False
    """Its rows are held one at a time."""


def _of(name: str, record: type[msgspec.Struct], *more: str, truths: Sequence[str] = ()) -> Table:
    columns = ("key", *record.__struct_fields__, *more)
    return Table(name, columns, ("key",), ("id",), frozenset(truths))


# In this order: what refers to something comes after it.
TABLES = (
    _of("sessions", Session),
    Table("images", ("sha256", "kept_at", "bytes"), ("sha256",), ("sha256",), heavy=True),
    _of("messages", Message, "shown", "owner", truths=["shown"]),
    Table(
        "image_uses",
        ("sha256", "message_id"),
        ("sha256", "message_id"),
        ("sha256", "message_id"),
    ),
    _of("articles", Article),
    Table(
        "citations",
        ("message_id", "number", "article_id"),
        ("message_id", "number"),
        ("message_id", "number"),
    ),
    Table("unrecalled", ("message_id",), ("message_id",), ("message_id",)),
    _of("episodes", Episode, truths=["success", "pinned"]),
    _of("facts", Fact, truths=["pinned"]),
    _of("skills", Skill, truths=["pinned"]),
    Table("vectors", ("rowid", "owner_id", "space", "vector"), ("rowid",), ("owner_id", "space")),
    Table("program_state", ("name", "value"), ("name",), ("name",)),
)

DERIVED = frozenset({"figures", "usage_by_day"})
"""Tables that follow from the others by themselves."""


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy came to."""

    rows: dict[str, int]
    """How many rows each table has, in both stores."""

    checksums: dict[str, str]
    """SHA-256 over all rows of each table, the same in both stores."""


class _Mark(msgspec.Struct, frozen=True):
    source: str
    table: str
    after: tuple[Any, ...]


async def copy(source: Store, target: Store, progress: Progress = lambda *_: None) -> Copied:
    """Copy everything that is kept into an empty store, or go on with that.

    Nothing else should write to either meanwhile.

    Args:
        source: It is not changed.
        target: An empty store, or one into which a copy of the same source was begun.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        StorageError: The target holds something else, or differs from the source in the end.
    """
    name = (await source.figures()).path
    mark = await _mark(target)
    if mark is None and await _holds_something(target):
        raise StorageError(
            f"{(await target.figures()).path} holds conversations already.",
            "Copy to an empty store: nothing is mixed.",
        )
    if mark is not None and mark.source != name:
        raise StorageError(
            f"A copy of {mark.source} was begun in {(await target.figures()).path}.",
            "Go on with that one, or copy to an empty store.",
        )
    names = [table.name for table in TABLES]
    for table in TABLES[names.index(mark.table) if mark else 0 :]:
        after = mark.after if mark and mark.table == table.name else ()
        total = await _count(source, table)
        done = await _count(target, table) if after else 0
        async for rows in _rows(source, table, after):
            async with target.filling() as transaction:
                await transaction.execute_many(_upsert(table), rows)
                await _note(transaction, _Mark(name, table.name, _place(table, rows[-1])))
            done += len(rows)
            progress(f"copying {table.name.replace('_', ' ')}", done, total)
    # Each message that came has changed its session.
    async for rows in _rows(source, TABLES[0], ()):
        async with target.filling() as transaction:
            await transaction.execute_many(_upsert(TABLES[0]), rows)
    await target.filled()
    copied = await _compared(source, target, progress)
    async with target.filling() as transaction:
        await transaction.execute("DELETE FROM program_state WHERE name = ?", (MARK,))
    return copied


async def _compared(source: Store, target: Store, progress: Progress) -> Copied:
    rows: dict[str, int] = {}
    checksums: dict[str, str] = {}
    for number, table in enumerate(TABLES, 1):
        rows[table.name], checksums[table.name] = await _checksum(source, table)
        count, checksum = await _checksum(target, table)
        if (count, checksum) != (rows[table.name], checksums[table.name]):
            async with target.filling() as transaction:
                # Everything is copied once more by the next attempt.
                mark = _Mark((await source.figures()).path, TABLES[0].name, ())
                await _note(transaction, mark)
            raise StorageError(
                f"The copies of {table.name} differ: {rows[table.name]:,} rows here and"
                f" {count:,} there.",
                "Something was written meanwhile. Quit Scrubjay everywhere, and copy again.",
            )
        progress("comparing", number, len(TABLES))
    return Copied(rows=rows, checksums=checksums)


async def _checksum(store: Store, table: Table) -> tuple[int, str]:
    """How many rows a table has, and a checksum over them, whichever store it is in."""
    digest = hashlib.sha256()
    count = 0
    async for rows in _rows(store, table, ()):
        for row in rows:
            digest.update(msgspec.json.encode(row) + b"\n")
        count += len(rows)
    return count, digest.hexdigest()


async def _rows(
    store: Store, table: Table, after: tuple[Any, ...]
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The rows of a table in order, in batches, as they would be in every store."""
    order = ", ".join(table.order)
    own = "AND name <> ?" if table.name == "program_state" else ""
    while True:
        beyond = f"({order}) > ({', '.join('?' * len(after))})" if after else "TRUE"
        found = await store.database.fetch_all(
            f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {beyond} {own}"
            f" ORDER BY {order} LIMIT ?",
            (*after, *([MARK] if own else []), 1 if table.heavy else BATCH),
        )
        if not found:
            return
        yield [_usual(table, row) for row in found]
        after = _place(table, found[-1])


def _usual(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(
        bool(value) if column in table.truths and value is not None else value
        for column, value in zip(table.columns, row, strict=True)
    )


def _place(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[table.columns.index(column)] for column in table.order)


def _upsert(table: Table) -> str:
    columns = ", ".join(table.columns)
    changes = ", ".join(
        f"{column} = excluded.{column}" for column in table.columns if column not in table.same
    )
    return (
        f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(table.columns))})"
        f" ON CONFLICT ({', '.join(table.same)}) DO "
        + (f"UPDATE SET {changes}" if changes else "NOTHING")
    )


async def _note(transaction: Statements, mark: _Mark) -> None:
    await transaction.execute(
        "INSERT INTO program_state VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (MARK, msgspec.json.encode(mark).decode()),
    )


async def _mark(store: Store) -> _Mark | None:
    kept = await store.state(MARK)
    return msgspec.convert(kept, _Mark) if kept else None


async def _holds_something(store: Store) -> bool:
    for table in TABLES:
        if table.name != "program_state" and await _count(store, table):
            return True
    return False


async def _count(store: Store, table: Table) -> int:
    [(count,)] = await store.database.fetch_all(f"SELECT count(*) FROM {table.name}")
    return int(count)
