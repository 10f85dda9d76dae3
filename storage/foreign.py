"""Databases of other programs, read and never written."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HEAD = b"SQLite format 3\0"
"""How every SQLite file begins (https://www.sqlite.org/fileformat.html#the_database_header)."""

ROWS = 500
"""Rows that are held at a time."""


class ForeignDatabase:
    """An open database of another program. It may be used from any thread, from one at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def columns(self, table: str) -> frozenset[str]:
        """The names of a table's columns; none when there is no such table."""
        rows = self._run("SELECT name FROM pragma_table_info(?)", (table,))
        return frozenset(name for (name,) in rows)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        [(count,)] = self._run(f"SELECT count(*) FROM {_quoted(table)}")
        return int(count)

    def rows(
        self, table: str, columns: Sequence[str], *, order: Sequence[str], **equal: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of a table, those with the given values, in order; read as they are asked for.

        Raises:
            StorageError: The database is damaged or locked.
        """
        where = " AND ".join(f"{_quoted(name)} = ?" for name in equal)
        return self._run(
            f"SELECT {_list(columns)} FROM {_quoted(table)}"
            f"{f' WHERE {where}' if where else ''} ORDER BY {_list(order)}",
            tuple(equal.values()),
        )

    def _run(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            cursor = self._connection.execute(sql, parameters)
            while rows := cursor.fetchmany(ROWS):
                yield from rows
        except sqlite3.Error as error:
            raise StorageError(f"{self._path} can't be read: {error}.") from error


@contextmanager
def opened(path: Path) -> Iterator[ForeignDatabase]:
    """The database at `path`, for reading.

    Raises:
        StorageError: It can't be opened.
    """
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise StorageError(f"{path} can't be opened: {error}.") from error
    # Whatever bytes somebody kept there, they are shown.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        yield ForeignDatabase(path, connection)
    finally:
        connection.close()


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(HEAD)) == HEAD


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
