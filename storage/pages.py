"""Reads rows from the pages of a SQLite file without trusting what links the pages.

A damaged page in the middle of a B-tree cuts off everything below it; the leaves that hold the rows
are sound all the same. So every page is looked at by itself, and a record is taken for a table's
when its values fit the table's columns. The format: https://www.sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR = 0x0D, 0x0A, 0x02

_TYPES = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,)}
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class DamagedError(Exception):
    """What is read here makes no sense."""


class Shape(msgspec.Struct, frozen=True):
    """What the records of a STRICT table look like."""

    table: str
    columns: tuple[str, ...]
    """In the order in which they are stored."""

    types: tuple[str, ...]
    required: tuple[bool, ...]
    key: int | None
    """The place of the column that is the row's key, and is stored as NULL."""

    has_keys: bool
    """False for a table WITHOUT ROWID."""

    @classmethod
    def of(cls, connection: sqlite3.Connection, table: str) -> Shape:
        """The shape of a table of a sound database."""
        [(without_keys,)] = connection.execute(
            "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
        )
        columns = connection.execute(
            'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) WHERE NOT hidden', (table,)
        ).fetchall()
        if without_keys:
            # The primary key comes first, and the others follow as they were declared.
            columns = sorted(columns, key=lambda column: (not column[3], column[3]))
        keys = [place for place, column in enumerate(columns) if column[3]]
        alias = not without_keys and len(keys) == 1 and columns[keys[0]][1] == "INTEGER"
        return cls(
            table,
            tuple(column[0] for column in columns),
            tuple(column[1] for column in columns),
            tuple(bool(column[2]) for column in columns),
            keys[0] if alias else None,
            not without_keys,
        )

    def fits(self, values: Sequence[Any]) -> bool:
        """Whether a record may be this table's."""
        return len(values) == len(self.columns) and all(
            place == self.key
            or (not required if value is None else isinstance(value, _TYPES[name]))
            for place, (value, name, required) in enumerate(
                zip(values, self.types, self.required, strict=True)
            )
        )


def read_rows(path: Path, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, list[Any]]]:
    """Every row of the tables with these shapes that any page of the file holds."""
    if path.stat().st_size < 512:
        return
    with (
        path.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as content,
    ):
        pages = _Pages(content)
        free = pages.free()
        for number in range(1, pages.count + 1):
            if number in free:
                continue
            for kind, key, payload in pages.cells(number):
                try:
                    values = _values(payload)
                except (DamagedError, IndexError, struct.error):
                    continue
                for shape in shapes:
                    if shape.has_keys is (kind == TABLE_LEAF) and shape.fits(values):
                        if shape.key is not None:
                            values[shape.key] = key
                        yield shape, values
                        break


class _Pages:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        size = int.from_bytes(content[16:18], "big")
        size = 65_536 if size == 1 else size
        # A header that is damaged itself: the size that SQLite gives a new file.
        self.size = size if size >= 512 and size & (size - 1) == 0 else 4096
        self.usable = self.size - (content[20] if content[20] <= 64 else 0)
        self.count = len(content) // self.size

    def free(self) -> set[int]:
        """The pages that hold nothing any more (section 1.5)."""
        free: set[int] = set()
        trunk = int.from_bytes(self._content[32:36], "big")
        while 1 < trunk <= self.count and trunk not in free:
            free.add(trunk)
            page = self._page(trunk)
            trunk, count = struct.unpack(">II", page[:8])
            leaves = page[8 : 8 + 4 * min(count, self.usable // 4 - 2)]
            free.update(leaf for (leaf,) in struct.iter_unpack(">I", leaves))
        return free

    def cells(self, number: int) -> Iterator[tuple[int, int, bytes]]:
        """The kind, key and payload of each cell of a page that holds rows (section 1.6)."""
        page = self._page(number)
        start = 100 if number == 1 else 0
        kind = page[start]
        if kind not in (TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR):
            return
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        pointers = start + (12 if kind == INDEX_INTERIOR else 8)
        for place in range(pointers, min(pointers + 2 * count, self.usable - 1), 2):
            at = int.from_bytes(page[place : place + 2], "big")
            try:
                if kind == INDEX_INTERIOR:
                    at += 4
                length, at = _varint(page, at)
                key = 0
                if kind == TABLE_LEAF:
                    key, at = _varint(page, at)
                yield kind, key, self._payload(page, at, length, kind)
            except (DamagedError, IndexError):
                continue

    def _payload(self, page: bytes, at: int, length: int, kind: int) -> bytes:
        """The payload of a cell, with what flowed over to other pages."""
        if length > len(self._content):
            raise DamagedError
        usable = self.usable
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return page[at : at + length]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= most else least
        parts = [page[at : at + local]]
        missing = length - local
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while missing > 0:
            if not 1 < following <= self.count:
                raise DamagedError
            page = self._page(following)
            following = int.from_bytes(page[:4], "big")
            parts.append(page[4 : min(usable, 4 + missing)])
            missing -= usable - 4
        return b"".join(parts)

    def _page(self, number: int) -> bytes:
        return self._content[(number - 1) * self.size : number * self.size]


def _values(record: bytes) -> list[Any]:
    """The values of a record (section 2.1)."""
    end, at = _varint(record, 0)
    if end > len(record):
        raise DamagedError
    kinds: list[int] = []
    while at < end:
        kind, at = _varint(record, at)
        kinds.append(kind)
    values: list[Any] = []
    for kind in kinds:
        value: Any
        if kind in (0, 8, 9):
            size, value = 0, (None, 0, 1)[max(0, kind - 7)]
        elif kind in _INTEGER_SIZES:
            size = _INTEGER_SIZES[kind]
            value = int.from_bytes(record[at : at + size], "big", signed=True)
        elif kind == 7:
            size = 8
            [value] = struct.unpack(">d", record[at : at + 8])
        elif kind >= 12:
            size = (kind - 12) // 2
            value = record[at : at + size]
            if kind % 2:
                value = value.decode("utf-8", "replace")
        else:
            raise DamagedError
        at += size
        if at > len(record):
            raise DamagedError
        values.append(value)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    value = value << 8 | data[at + 8]
    return (value - (1 << 64) if value >= 1 << 63 else value), at + 9
