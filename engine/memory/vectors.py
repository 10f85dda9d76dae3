"""The vectors of one person's messages, in memory, and how near each message is to a question.

A message is near by itself, and by its window: joined with half of its neighbours. Both are
cosines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engine.memory.index import LexicalIndex
    from engine.memory.ranking import Column, Docs
    from storage.message_vectors import KeptVector

NEIGHBOURS = 0.5
"""How much of the messages before and after counts to a message's window."""

ENOUGH = 0.5
"""With vectors for a smaller share of the messages than this, words alone rank them."""


class Vectors:
    """Vectors by the numbers of messages in an index; zero where there is none yet."""

    def __init__(self) -> None:
        self.newest = 0
        """The number of the last vector that was read."""

        self._rows: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._there: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._early: list[KeptVector] = []

    def put(self, index: LexicalIndex, page: Sequence[KeptVector]) -> None:
        """Take in vectors. Those of messages that are not indexed yet wait for them."""
        page = [*self._early, *page]
        if not page:
            return
        self.newest = max(self.newest, page[-1].number)
        width = len(page[-1].vector)
        page = [one for one in page if len(one.vector) == width]
        self._make_room(len(index), width // 4)
        order = np.argsort(index.keys.view, kind="stable")
        keys = np.array([one.key for one in page], np.int64)
        places = np.searchsorted(index.keys.view, keys, sorter=order)
        known = places < len(index)
        known[known] = index.keys.view[order[places[known]]] == keys[known]
        self._early = [one for one, there in zip(page, known, strict=True) if not there]
        docs = order[places[known]]
        vectors = np.frombuffer(
            b"".join(one.vector for one, there in zip(page, known, strict=True) if there), "<f4"
        )
        self._there[docs] = True
        self._rows[docs] = vectors.reshape(-1, width // 4)

    def serve(self, index: LexicalIndex, vector: NDArray[np.float32] | None) -> bool:
        """Whether a question with this vector can be compared with enough of the messages."""
        if vector is None or len(vector) != self._rows.shape[1]:
            return False
        self._make_room(len(index), len(vector))
        return bool(self._there.sum() >= max(1, ENOUGH * len(index)))

    def nearness(self, vector: NDArray[np.float32], docs: Docs) -> Column:
        """The cosines of a question with messages; the mean where there is no vector."""
        size = len(docs)
        alone = size and docs[-1] - docs[0] == size - 1  # all that lie between: no copy
        rows = self._rows[docs[0] : docs[-1] + 1] if alone else self._rows[docs]
        return _with_mean(_products(rows, vector), self._there[docs])

    def window_nearness(
        self, vector: NDArray[np.float32], index: LexicalIndex, docs: Docs
    ) -> Column:
        """The cosines of a question with messages that are joined with their neighbours."""
        joined = self._rows[docs]
        for link in (index.previous.view[docs], index.following.view[docs]):
            there = link >= 0
            joined[there] += np.float32(NEIGHBOURS) * self._rows[link[there]]
        lengths = np.sqrt(np.einsum("ij,ij->i", joined, joined))
        return _with_mean(_products(joined, vector) / np.maximum(lengths, 1e-6), lengths > 0)

    def _make_room(self, size: int, width: int) -> None:
        if width != self._rows.shape[1]:
            self._rows = np.zeros((size, width), np.float32)
            self._there = np.zeros(size, np.bool_)
        elif size > len(self._rows):
            rows = np.zeros((max(size, len(self._rows) * 5 // 4), width), np.float32)
            rows[: len(self._rows)] = self._rows
            self._rows = rows
            self._there = np.append(self._there, np.zeros(len(rows) - len(self._there), np.bool_))


def _products(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The dot products of rows with a vector, on one core.

    BLAS shares them out among all cores, and waits for those that are busy elsewhere.
    """
    products: NDArray[np.float32] = np.einsum("ij,j->i", rows, vector)
    return products


def _with_mean(cosines: NDArray[np.float32], there: NDArray[np.bool_]) -> Column:
    """With the mean of the others where there is none."""
    if there.any():
        cosines[~there] = cosines[there].mean()
    return cosines
