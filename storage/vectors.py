"""Nearest texts by embedding: vectors in the database, and a numpy index over them in memory.

Every vector is scaled to length 1, so the dot product of two is the cosine of their angle. The
search is exact: one matrix-vector product, 38 million multiplications for 100,000 × 384.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from storage.batching import BackgroundWrites
from storage.locks import AsyncReadWriteLock
from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from storage.sql import Sql

Vector: TypeAlias = npt.NDArray[np.float32]

LOADED_AT_ONCE = 2_000


class Neighbour(NamedTuple):
    """A text near another."""

    owner_id: str
    similarity: float
    """The cosine of the angle between the two: 1 for the same direction."""


class VectorIndex:
    """The vectors of one space: one embedding model's, of one dimension.

    Reading and writing may go on at once; a search sees each `add` whole or not at all. What was
    added is found at once and reaches the disk a little later: `flush` waits for that.
    """

    def __init__(self, database: Sql, space: str, dimension: int) -> None:
        self.space = space
        self.dimension = dimension
        self._database = database
        self._writes = BackgroundWrites(database)
        self._lock = AsyncReadWriteLock()
        self._owners: list[str] = []
        self._places: dict[str, int] = {}
        self._matrix: Vector = np.empty((0, dimension), np.float32)

    @classmethod
    async def load(cls, database: Sql, space: str, dimension: int) -> VectorIndex:
        """Read a space from the database. Vectors of another dimension are left out."""
        index = cls(database, space, dimension)
        [(count,)] = await database.fetch_all(
            "SELECT count(*) FROM vectors WHERE space = ?", (space,)
        )
        index._matrix = np.empty((count, dimension), np.float32)
        last = 0
        while True:
            rows = await database.fetch_all(
                "SELECT rowid, owner_id, vector FROM vectors INDEXED BY vectors_by_space"
                " WHERE space = ? AND rowid > ? ORDER BY rowid LIMIT ?",
                (space, last, LOADED_AT_ONCE),
            )
            kept = [(owner, blob) for _, owner, blob in rows if len(blob) == 4 * dimension]
            vectors = np.frombuffer(b"".join(blob for _, blob in kept), "<f4")
            index._put([owner for owner, _ in kept], vectors.reshape(-1, dimension))
            if len(rows) < LOADED_AT_ONCE:
                return index
            last = rows[-1][0]

    def __len__(self) -> int:
        return len(self._owners)

    async def add(self, vectors: Mapping[str, Sequence[float] | Vector]) -> None:
        """Add the vectors of texts, or replace them, by the texts' ids. Any length will do.

        Raises:
            ValueError: One has another dimension than the space, is zero, or is not finite.
        """
        if not vectors:
            return
        owners = list(vectors)
        scaled = np.stack([self._scaled(vectors[owner]) for owner in owners])
        async with self._lock.writing():
            self._put(owners, scaled)
        for owner, vector in zip(owners, scaled, strict=True):
            self._writes.put(
                "INSERT INTO vectors (owner_id, space, vector) VALUES (?, ?, ?)"
                " ON CONFLICT (owner_id, space) DO UPDATE SET vector = excluded.vector",
                (owner, self.space, vector.astype("<f4").tobytes()),
            )

    async def remove(self, owner_ids: Collection[str]) -> None:
        """Take the vectors of texts away."""
        async with self._lock.writing():
            for owner in owner_ids:
                place = self._places.pop(owner, None)
                if place is None:
                    continue
                # The last one fills the gap.
                last = self._owners.pop()
                if last != owner:
                    self._owners[place] = last
                    self._places[last] = place
                    self._matrix[place] = self._matrix[len(self._owners)]
        for owner in owner_ids:
            self._writes.put(
                "DELETE FROM vectors WHERE owner_id = ? AND space = ?", (owner, self.space)
            )

    async def search(
        self, vector: Sequence[float] | Vector, *, limit: int = 10, min_similarity: float = -1.0
    ) -> list[Neighbour]:
        """The texts nearest to `vector`, the nearest first.

        Raises:
            ValueError: As for `add`.
        """
        wanted = self._scaled(vector)
        async with self._lock.reading():
            # The thread reads the matrix; the lock is kept until it is done, come what may.
            return await to_its_end(asyncio.to_thread(self._nearest, wanted, limit, min_similarity))

    async def flush(self) -> None:
        """Wait until what was added is on the disk.

        Raises:
            StorageError: It could not be written; it will be tried again.
        """
        await self._writes.flush()

    async def close(self) -> None:
        """Write what is left. Raises as `flush` does."""
        await self._writes.close()

    def _nearest(self, wanted: Vector, limit: int, min_similarity: float) -> list[Neighbour]:
        count = len(self._owners)
        similarities = self._matrix[:count] @ wanted
        if limit < count:
            best = np.argpartition(similarities, count - limit)[count - limit :]
        else:
            best = np.arange(count)
        best = best[np.argsort(-similarities[best], kind="stable")]
        return [
            Neighbour(self._owners[place], float(similarities[place]))
            for place in best
            if similarities[place] >= min_similarity
        ]

    def _put(self, owners: Sequence[str], vectors: Vector) -> None:
        new = [owner for owner in owners if owner not in self._places]
        needed = len(self._owners) + len(new)
        if needed > len(self._matrix):
            grown = np.empty((max(needed, len(self._matrix) * 3 // 2), self.dimension), np.float32)
            grown[: len(self._owners)] = self._matrix[: len(self._owners)]
            self._matrix = grown
        for owner in new:
            self._places[owner] = len(self._owners)
            self._owners.append(owner)
        self._matrix[[self._places[owner] for owner in owners]] = vectors

    def _scaled(self, vector: Sequence[float] | Vector) -> Vector:
        return scaled(vector, self.space, self.dimension)


def scaled(vector: Sequence[float] | Vector, space: str, dimension: int) -> Vector:
    """A vector of a space at the length 1.

    Raises:
        ValueError: It has another dimension than the space, is zero, or is not finite.
    """
    array = np.asarray(vector, np.float32)
    if array.shape != (dimension,):
        raise ValueError(f"The space {space} has {dimension} dimensions.")
    length = float(np.linalg.norm(array))
    if not np.isfinite(length) or length == 0:
        raise ValueError("A vector has to be finite and not zero.")
    return array / np.float32(length)
