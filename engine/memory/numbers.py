"""Numbers for texts, found again by hashes of these: a few bytes a text, and none of its words."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from engine.memory.grown import Grown

RECENT = 8_192
"""So many hashes wait before they are sorted in among the others."""


class Numbers:
    """Texts numbered in the order they came.

    Args:
        hashes: Of the texts there are, by their numbers.
    """

    def __init__(self, hashes: Grown | None = None) -> None:
        self.hashes = Grown(np.int64) if hashes is None else hashes
        self._sort()

    def __len__(self) -> int:
        return len(self.hashes)

    def get(self, text: str) -> int:
        """A text's number; -1 when it has none."""
        return self._find(hashed(text))

    def add(self, text: str) -> int:
        """A text's number; a new one when it has none."""
        key = hashed(text)
        number = self._find(key)
        if number < 0:
            number = self._recent[key] = len(self.hashes)
            self.hashes.append(key)
            if len(self._recent) > RECENT:
                self._sort()
        return number

    def _find(self, key: int) -> int:
        number = self._recent.get(key, -1)
        if number < 0 and len(self._sorted):
            place = int(self._sorted.searchsorted(key))
            if place < len(self._sorted) and self._sorted[place] == key:
                number = int(self._order[place])
        return number

    def _sort(self) -> None:
        hashes = self.hashes.view
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._sorted = hashes[self._order]
        self._recent: dict[int, int] = {}


def hashed(text: str) -> int:
    """63 bits of a text's hash: of a million texts, two have the same once in ten million times."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
