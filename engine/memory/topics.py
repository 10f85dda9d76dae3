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


BLOCK = 1_000
"""So many messages are folded in at a time."""


class Topics:
    """A basis for the topics of an index, in which its messages are told when they are compared.

    Args:
        fitted: To how many messages.
        known: How many stems there were.
        common: Those of them that the basis has a vector for.
        basis: Their vectors, a row a stem.
    """

    width = DIMENSIONS
    _all: NDArray[np.float32] | None = None
    """The vectors of all messages of a short history, which most questions look at."""

    def __init__(
        self,
        fitted: int = 0,
        known: int = 0,
        common: NDArray[np.integer[Any]] | None = None,
        basis: NDArray[np.float32] | None = None,
    ) -> None:
        self.fitted = fitted
        self.known = known
        self.common = np.zeros(0, np.int32) if common is None else common
        self.basis = np.zeros((0, DIMENSIONS), np.float32) if basis is None else basis
        self._rows = np.full(known, len(self.common), np.int32)
        self._rows[self.common] = np.arange(len(self.common))
        # Stems without a vector have the last row.
        self._padded = np.concatenate([self.basis, np.zeros((1, DIMENSIONS), np.float32)])

    def likeness(
        self, index: LexicalIndex, stems: list[int], docs: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """The cosine of some stems with each message and its neighbours."""
        known = [stem for stem in stems if stem < self.known]
        if not self.fitted or not known:
            return np.zeros(len(docs), np.float32)
        wanted = self._padded[self._rows[known]].sum(axis=0)
        wanted /= max(float(np.linalg.norm(wanted)), 1e-6)
        links = (index.previous.view[docs], index.following.view[docs])
        near = np.unique(np.concatenate([docs, *links]))
        near = near[near >= 0]
        vectors = self._vectors(index, near)
        joined = vectors[np.searchsorted(near, docs)]
        for link in links:
            joined[link >= 0] += NEIGHBOURS * vectors[np.searchsorted(near, link[link >= 0])]
        cosines: NDArray[np.float32] = joined @ wanted
        cosines /= np.maximum(np.linalg.norm(joined, axis=1), 1e-6)
        return cosines

    def _vectors(self, index: LexicalIndex, docs: NDArray[np.intp]) -> NDArray[np.float32]:
        if len(docs) == len(index) and self._all is not None and len(self._all) == len(docs):
            return self._all
        blocks = [docs[start : start + BLOCK] for start in range(0, len(docs), BLOCK)]
        vectors = np.concatenate([self._folded(index, block) for block in blocks])
        self._all = vectors if len(docs) == len(index) else None
        return vectors

    def _folded(self, index: LexicalIndex, docs: NDArray[np.intp]) -> NDArray[np.float32]:
        """The vectors of messages: sums of their stems' vectors, length one."""
        places, stems = index.words_of(docs)
        fits = stems < self.known
        places, stems = places[fits], stems[fits]
        vectors = np.zeros((len(docs), DIMENSIONS), np.float32)
        rows = self._rows[stems]
        told = rows < len(self.common)
        if told.any():
            firsts = np.flatnonzero(np.diff(places[told], prepend=-1))
            docs_told = places[told][firsts]
            sums = np.add.reduceat(self.basis[rows[told]], firsts, axis=0)
            weights = np.bincount(places, index.idf(stems) ** 2)[docs_told]
            vectors[docs_told] = sums / np.sqrt(weights)[:, None]
        return vectors


def up_to_date(topics: Topics, index: LexicalIndex) -> Topics:
    """The topics of an index; it has others when it has grown much."""
    if len(index) < max(LEAST, GROWTH * topics.fitted):
        return topics
    return _fit(index)


def _fit(index: LexicalIndex) -> Topics:
    """Topics with a vector for each stem that is not rare, weighted by how telling it is."""
    sample = _sample(len(index))
    docs = np.concatenate([np.arange(start, stop) for start, stop in sample])
    row, stem = index.words_of(docs)
    spread = np.bincount(stem, minlength=index.stems)
    common = np.argsort(-spread, kind="stable")[:VOCABULARY]
    common = common[spread[common] >= 2]
    if not len(common):
        return Topics(len(index), index.stems)
    column = np.full(index.stems, -1)
    column[common] = np.arange(len(common))
    kept = column[stem] >= 0
    idf = index.idf(common)
    cells, counts = np.unique(row[kept] * len(common) + column[stem[kept]], return_counts=True)
    rows, columns = np.divmod(cells, len(common))
    values = (np.log1p(counts) * idf[columns]).astype(np.float32)
    lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(docs)))
    values /= np.maximum(lengths, 1e-6)[rows].astype(np.float32)
    joined = _Joined(rows, columns, values, (len(docs), len(common)), _links(index, docs, sample))
    vectors = _right_singular_vectors(joined)
    basis = np.zeros((len(common), DIMENSIONS), np.float32)
    basis[:, : vectors.shape[1]] = vectors * idf[:, None]
    return Topics(len(index), index.stems, common, basis)


def _links(
    index: LexicalIndex, docs: NDArray[np.intp], sample: list[tuple[int, int]]
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of rows, of messages and their neighbours within the same block."""
    block = np.repeat(np.arange(len(sample)), [stop - start for start, stop in sample])
    pairs = []
    for link in (index.previous.view[docs], index.following.view[docs]):
        place = np.minimum(np.searchsorted(docs, link), len(docs) - 1)
        there = np.flatnonzero((docs[place] == link) & (block[place] == block))
        pairs.append((there, place[there]))
    return pairs


class _Joined:
    """A sparse matrix of messages by stems, each row joined with half of its neighbours'."""

    def __init__(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        values: NDArray[np.float32],
        shape: tuple[int, int],
        links: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
    ) -> None:
        self.shape = shape
        self._links = links
        self._across = (rows, columns, values)
        order = np.argsort(columns, kind="stable")
        self._down = (columns[order], rows[order], values[order])

    def times(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The matrix by some vectors, a column each."""
        product = _product(self._across, self.shape[0], vectors)
        joined = product.copy()
        for row, neighbour in self._links:
            joined[row] += np.float32(NEIGHBOURS) * product[neighbour]
        return joined

    def turned_times(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Its transpose by some vectors, a column each."""
        joined = vectors.copy()
        for row, neighbour in self._links:
            np.add.at(joined, neighbour, np.float32(NEIGHBOURS) * vectors[row])
        return _product(self._down, self.shape[1], joined)


def _product(
    cells: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]],
    size: int,
    vectors: NDArray[np.float32],
) -> NDArray[np.float32]:
    """A sparse matrix by some vectors; its cells are given row by row."""
    rows, columns, values = cells
    product = np.zeros((size, vectors.shape[1]), np.float32)
    firsts = np.flatnonzero(np.diff(rows, prepend=-1))
    product[rows[firsts]] = np.add.reduceat(values[:, None] * vectors[columns], firsts, axis=0)
    return product


def _sample(size: int) -> list[tuple[int, int]]:
    """Even blocks of messages, or all of them."""
    if size <= SAMPLE:
        return [(0, size)]
    blocks = 30
    length = SAMPLE // blocks
    return [(start, start + length) for start in np.linspace(0, size - length, blocks).astype(int)]


def _right_singular_vectors(matrix: _Joined) -> NDArray[np.float32]:
    """The first of them. Of numpy only what lets other threads run is called with much.

    Factorisations hold Python's lock, so they see matrices of 60 by 60.
    """
    dimensions = min(DIMENSIONS, *matrix.shape)
    guess = np.random.default_rng(0).standard_normal((matrix.shape[1], dimensions + 10))
    space = guess.astype(np.float32)
    for _ in range(4):
        space = _orthonormal(matrix.turned_times(matrix.times(space)))
    _, turned = _stretches(matrix.times(space))
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
