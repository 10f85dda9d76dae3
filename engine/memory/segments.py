"""Parts of the lexical index: what consecutive messages say, by their stems and by themselves.

The last part is in memory and grows. The others are files, and are joined into larger ones now and
then, as in a log-structured merge tree (O'Neil et al. 1996).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.memory import array_file
from engine.memory.array_file import ArrayFile
from engine.memory.grown import Grown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK = 500_000
"""So many postings are joined at a time."""


class Tail:
    """The part in memory. Its messages, too, are numbered from 0."""

    def __init__(self) -> None:
        self._words = Grown(np.int32)
        self._starts = Grown(np.int64, [np.zeros(1, np.int64)])
        self._held_by: dict[int, bytearray] = {}
        """For each stem the messages that hold it, in order: 4 bytes each, of which the last says
        how often. Like numbers in arrays, bytes are nothing that the garbage collector walks
        through while everything else stands still."""

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, words: Sequence[int]) -> None:
        """Take in a message, as the stems of its words."""
        doc = len(self)
        counted: dict[int, int] = {}
        for stem in words:
            counted[stem] = counted.get(stem, 0) + 1
        for stem, count in counted.items():
            posting = (doc << 8 | min(count, 255)).to_bytes(4, "little")
            if stem in self._held_by:
                self._held_by[stem] += posting
            else:
                self._held_by[stem] = bytearray(posting)
        self._words.extend(words)
        self._starts.append(len(self._words))

    @property
    def words(self) -> NDArray[Any]:
        """The stems of all messages, one after the other."""
        return self._words.view

    @property
    def starts(self) -> NDArray[Any]:
        """Where the words of each message start, and at last where they end."""
        return self._starts.view

    def postings(self, stem: int) -> NDArray[Any]:
        """The messages that hold a stem, in order, each with how often."""
        return np.frombuffer(bytes(self._held_by.get(stem, b"")), "<u4")

    def offsets(self, stems: int) -> NDArray[Any]:
        """Where the postings of each stem start among all."""
        sizes = np.zeros(stems + 1, np.int64)
        for stem, held in self._held_by.items():
            sizes[stem + 1] = len(held) // 4
        return sizes.cumsum()

    def all_postings(self) -> NDArray[Any]:
        """Those of all stems, one after the other."""
        return np.frombuffer(b"".join(held for _, held in sorted(self._held_by.items())), "<u4")

    def let_go(self) -> None:
        """It is in memory as long as it is there."""


class Segment:
    """A part in a file; its arrays are those of `Tail`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ArrayFile(path)
        self.words = self._file.array("words")
        self.starts = self._file.array("starts")
        self._offsets = self._file.array("offsets")
        self._postings = self._file.array("postings")

    def __len__(self) -> int:
        return len(self.starts) - 1

    def postings(self, stem: int) -> NDArray[Any]:
        """The messages that hold a stem, in order, each with how often."""
        if stem + 1 >= len(self._offsets):
            return self._postings[:0]
        return self._postings[self._offsets[stem] : self._offsets[stem + 1]]

    def offsets(self, stems: int) -> NDArray[Any]:
        """Where the postings of each stem start among all."""
        missing = stems + 1 - len(self._offsets)
        return np.concatenate([self._offsets, np.full(missing, self._offsets[-1])])

    def all_postings(self) -> NDArray[Any]:
        """Those of all stems, one after the other."""
        return self._postings

    def let_go(self) -> None:
        """Keep nothing of the file in memory."""
        self._file.let_go()


def write(path: Path, parts: Sequence[Tail | Segment], stems: int) -> Segment:
    """Write parts that follow each other as one.

    Args:
        path: Of a file that is not there yet.
        parts: What to write.
        stems: How many are known.

    Raises:
        OSError: It can't be written.
    """
    offsets = [part.offsets(stems) for part in parts]
    array_file.write(
        path,
        {
            "words": (part.words for part in parts),
            "starts": _starts(parts),
            "offsets": [np.sum(offsets, axis=0)],
            "postings": _postings(parts, offsets),
        },
    )
    return Segment(path)


def _starts(parts: Sequence[Tail | Segment]) -> Iterator[NDArray[Any]]:
    yield np.zeros(1, np.int64)
    before = 0
    for part in parts:
        yield part.starts[1:] + before
        before += len(part.words)


def _postings(
    parts: Sequence[Tail | Segment], offsets: Sequence[NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """The postings of all parts, stem by stem, in blocks."""
    whole = np.sum(offsets, axis=0)
    shifts = [first << 8 for first in accumulate(map(len, parts), initial=0)]
    postings = [part.all_postings() for part in parts]
    start, stems = 0, len(whole) - 1
    yield np.zeros(0, np.uint32)
    while start < stems:
        stop = int(np.searchsorted(whole, whole[start] + BLOCK, side="right")) - 1
        stop = min(max(stop, start + 1), stems)
        block = np.empty(whole[stop] - whole[start], np.uint32)
        place = whole[start:stop] - whole[start]
        for part, own, shift in zip(postings, offsets, shifts, strict=False):
            first, last = own[start], own[stop]
            sizes = np.diff(own[start : stop + 1])
            within = np.arange(last - first) - np.repeat(own[start:stop] - first, sizes)
            block[np.repeat(place, sizes) + within] = part[first:last] + np.uint32(shift)
            place += sizes
        yield block
        start = stop
