"""A numpy array that grows at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST = 64


class Grown:
    """An array with room behind its end.

    Args:
        dtype: Of its values.
        parts: What it begins with.
    """

    def __init__(self, dtype: Any, parts: Sequence[NDArray[Any]] = ()) -> None:
        self._room = np.zeros(sum(map(len, parts)) + LEAST, dtype)
        self._size = 0
        for part in parts:
            self.extend(part)

    def __len__(self) -> int:
        return self._size

    def append(self, value: Any) -> None:
        """Add a value."""
        if self._size == len(self._room):
            self._make_room(1)
        self._room[self._size] = value
        self._size += 1

    def extend(self, values: Sequence[Any] | NDArray[Any]) -> None:
        """Add some values."""
        size = len(values)
        if self._size + size > len(self._room):
            self._make_room(size)
        self._room[self._size : self._size + size] = values
        self._size += size

    def lay_on(self, room: NDArray[Any], size: int) -> None:
        """Let the first values of another array take the place of its own."""
        self._room, self._size = room, size

    @property
    def view(self) -> NDArray[Any]:
        """What there is. Don't hold it while something is appended."""
        return self._room[: self._size]

    def _make_room(self, size: int) -> None:
        room = np.zeros(size + len(self._room) * 9 // 8, self._room.dtype)
        room[: self._size] = self.view
        self._room = room
