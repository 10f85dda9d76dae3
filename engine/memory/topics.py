"""Topics of a person's own messages: latent semantic analysis, refitted as they grow.

Deerwester et al., "Indexing by latent semantic analysis" (1990), over each message joined with half
of its neighbours; the truncated SVD is a randomised subspace iteration (Halko, Martinsson, Tropp,
2011). A message that comes later is folded in with the basis there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.memory.index import LexicalIndex

DIMENSIONS = 50
SAMPLE = 3_000
"""The basis is fitted to this many messages at most, taken in even blocks."""

VOCABULARY = 3_000
"""And to this many of their most frequent stems."""

LEAST = 30
"""Fewer messages than this have no topics."""

GROWTH = 1.25
"""The basis is fitted anew when there are this many times as many messages."""

NEIGHBOURS = 0.5
"""How much of the messages before and after counts to a message."""


class Topics:
    """Vectors of all messages of an index."""

    def __init__(self) -> None:
        self._fitted = 0
        self._basis: NDArray[np.float32] = np.zeros((0, DIMENSIONS), np.float32)
        self._vectors: NDArray[np.float32] = np.zeros((0, DIMENSIONS), np.float32)
        self._size = 0

    def update(self, index: LexicalIndex) -> None:
        """Take in what was added to the index; at times this fits the basis anew."""
        if len(index) >= max(LEAST, GROWTH * self._fitted):
            self._basis = _fit(index)
            self._fitted = len(index)
            self._size = 0
        if not self._fitted or self._size == len(index):
            return
        if len(index) > len(self._vectors):
            room = np.zeros((max(64, 2 * len(index)), DIMENSIONS), np.float32)
            room[: self._size] = self._vectors[: self._size]
            self._vectors = room
        for start in range(self._size, len(index), SAMPLE):
            stop = min(start + SAMPLE, len(index))
            self._vectors[start:stop] = self._folded(index, start, stop)
        self._size = len(index)

    def likeness(
        self, index: LexicalIndex, stems: list[int], docs: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """The cosine of some stems with each message and its neighbours."""
        known = [stem for stem in stems if stem < len(self._basis)]
        if not self._fitted or not known:
            return np.zeros(len(docs), np.float32)
        wanted = self._basis[known].sum(axis=0)
        wanted /= max(float(np.linalg.norm(wanted)), 1e-6)
        joined = self._vectors[docs]
        for link in (index.previous.view[docs], index.following.view[docs]):
            there = link >= 0
            joined[there] += NEIGHBOURS * self._vectors[link[there]]
        cosines: NDArray[np.float32] = joined @ wanted
        cosines /= np.maximum(np.linalg.norm(joined, axis=1), 1e-6)
        return cosines

    def _folded(self, index: LexicalIndex, start: int, stop: int) -> NDArray[np.float32]:
        """The vectors of the messages [start, stop): sums of their stems' vectors, length one."""
        docs, stems = index.words_of(start, stop)
        fits = stems < len(self._basis)
        docs, stems = docs[fits], stems[fits]
        vectors = np.zeros((stop - start, DIMENSIONS), np.float32)
        if len(docs):
            firsts = np.flatnonzero(np.diff(docs, prepend=-1))
            sums = np.add.reduceat(self._basis[stems], firsts, axis=0)
            weights = np.add.reduceat(index.idf()[stems] ** 2, firsts)
            vectors[docs[firsts] - start] = sums / np.sqrt(weights)[:, None]
        return vectors


def _fit(index: LexicalIndex) -> NDArray[np.float32]:
    """A vector for each stem, weighted by how telling it is; zero for one that is rare."""
    sample = _sample(len(index))
    docs, stems = zip(*(index.words_of(start, stop) for start, stop in sample), strict=True)
    doc = np.concatenate(docs)
    stem = np.concatenate(stems)
    rows = np.cumsum([0, *(stop - start for start, stop in sample)])
    row = (
        doc
        - np.repeat([start for start, _ in sample], [len(d) for d in docs])
        + np.repeat(rows[:-1], [len(d) for d in docs])
    )
    spread = np.bincount(stem, minlength=len(index.held_by))
    common = np.argsort(-spread, kind="stable")[:VOCABULARY]
    common = common[spread[common] >= 2]
    basis = np.zeros((len(index.held_by), DIMENSIONS), np.float32)
    if not len(common):
        return basis
    column = np.full(len(index.held_by), -1)
    column[common] = np.arange(len(common))
    kept = column[stem] >= 0
    idf = index.idf()
    matrix = np.zeros((rows[-1], len(common)), np.float32)
    cells, counts = np.unique(row[kept] * len(common) + column[stem[kept]], return_counts=True)
    matrix.ravel()[cells] = np.log1p(counts)
    matrix *= idf[common]
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-6)
    joined = matrix.copy()
    for number, (start, stop) in enumerate(sample):
        block = slice(rows[number], rows[number + 1])
        for link in (index.previous.view[start:stop], index.following.view[start:stop]):
            there = np.flatnonzero((link >= start) & (link < stop))
            joined[block][there] += NEIGHBOURS * matrix[block][link[there] - start]
    vectors = _right_singular_vectors(joined)
    basis[common, : vectors.shape[1]] = vectors * idf[common, None]
    return basis


def _sample(size: int) -> list[tuple[int, int]]:
    """Even blocks of messages, or all of them."""
    if size <= SAMPLE:
        return [(0, size)]
    blocks = 30
    length = SAMPLE // blocks
    return [(start, start + length) for start in np.linspace(0, size - length, blocks).astype(int)]


def _right_singular_vectors(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first of them. Of numpy only products are called with much: they let other threads run.

    Factorisations hold Python's lock, so they see matrices of 60 by 60.
    """
    dimensions = min(DIMENSIONS, *matrix.shape)
    guess = np.random.default_rng(0).standard_normal((matrix.shape[1], dimensions + 10))
    space = guess.astype(np.float32)
    for _ in range(4):
        space = _orthonormal(matrix.T @ (matrix @ space))
    _, turned = _stretches(matrix @ space)
    vectors: NDArray[np.float32] = (space @ turned.astype(np.float32))[:, :dimensions]
    return vectors


def _orthonormal(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """As many orthogonal vectors of length one, or fewer, that span the same space."""
    squares, turned = _stretches(vectors)
    there = squares > squares[0] * 1e-10
    spread: NDArray[np.floating[Any]] = turned[:, there] / np.sqrt(squares[there])
    orthonormal: NDArray[np.float32] = vectors @ spread.astype(np.float32)
    return orthonormal


def _stretches(vectors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The squared singular values and the right singular vectors of a tall matrix, falling."""
    wide = vectors.astype(np.float64)
    squares, turned = np.linalg.eigh(wide.T @ wide)
    return squares[::-1], turned[:, ::-1]
