"""Files of named arrays that are written once and read in place, with room to grow in memory."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"scrubjay arrays 1"
_ALIGNED = 8


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where an array lies in its file."""

    dtype: str
    offset: int
    count: int
    room: int
    """So many values may follow in memory."""


class ArrayFile:
    """The arrays of a file. The file may be removed meanwhile, where the system allows it.

    Raises:
        OSError: It can't be read.
        ValueError: It is no such file, or not all of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        end = len(self._map) - len(MAGIC) - 8
        if end < 0 or self._map[end + 8 :] != MAGIC:
            raise ValueError(f"{path} is not whole.")
        contents = self._map[int.from_bytes(self._map[end : end + 8], "little") : end]
        self._places = msgspec.json.decode(contents, type=dict[str, _Place])

    def array(self, name: str) -> NDArray[Any]:
        """An array; what is looked at of it comes from the disk. What it holds must not change."""
        return self.with_room(name)[: self._places[name].count]

    def with_room(self, name: str) -> NDArray[Any]:
        """An array, and behind its end zeros that may be written to, in memory alone."""
        place = self._places[name]
        return np.frombuffer(self._map, place.dtype, place.count + place.room, place.offset)

    def let_go(self) -> None:
        """Take what was looked at of the arrays out of this process's memory again."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        for place in self._places.values():
            first = -(-place.offset // mmap.PAGESIZE)
            end = place.offset + place.count * np.dtype(place.dtype).itemsize
            if (pages := end // mmap.PAGESIZE - first) > 0:
                self._map.madvise(mmap.MADV_DONTNEED, first * mmap.PAGESIZE, pages * mmap.PAGESIZE)


def write(path: Path, arrays: Mapping[str, Iterable[NDArray[Any]]], room: int = 0) -> None:
    """Write arrays, each given piece by piece, to a file that its owner alone can read.

    Args:
        path: Of a file that is not there yet.
        arrays: By their names.
        room: For so many more values, of each.

    Raises:
        OSError: It can't be written.
    """
    places: dict[str, _Place] = {}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for name, pieces in arrays.items():
            file.write(bytes(-file.tell() % _ALIGNED))
            offset, count, dtype = file.tell(), 0, ""
            for piece in pieces:
                file.write(np.ascontiguousarray(piece).data)
                count += len(piece)
                dtype = piece.dtype.str
            places[name] = _Place(dtype, offset, count, room)
            file.seek(room * np.dtype(dtype).itemsize, os.SEEK_CUR)
        end = file.tell()
        file.write(msgspec.json.encode(places) + end.to_bytes(8, "little") + MAGIC)
        file.flush()
        os.fsync(file.fileno())
