"""Nearest texts by embedding, found by the server with pgvector.

The search is exact, as that in memory is. The vectors stay where they are, and need no room here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from storage.vectors import LOADED_AT_ONCE, Neighbour, Vector, scaled

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from storage.sql import Sql


class ServerVectorIndex:
    """The vectors of one space, on a server with pgvector. See `storage.vectors.VectorIndex`."""

    def __init__(self, database: Sql, space: str, dimension: int) -> None:
        self.space = space
        self.dimension = dimension
        self._database = database
        self._owners: set[str] = set()

    @classmethod
    async def load(cls, database: Sql, space: str, dimension: int) -> ServerVectorIndex:
        """Find out what there is, and let the server know vectors that came without it."""
        index = cls(database, space, dimension)
        while rows := await database.fetch_all(
            "SELECT owner_id, vector FROM vectors"
            " WHERE space = ? AND embedding IS NULL AND octet_length(vector) = ? LIMIT ?",
            (space, 4 * dimension, LOADED_AT_ONCE),
        ):
            async with database.transaction() as transaction:
                await transaction.execute_many(
                    "UPDATE vectors SET embedding = CAST(? AS vector)"
                    " WHERE owner_id = ? AND space = ?",
                    [(_text(np.frombuffer(blob, "<f4")), owner, space) for owner, blob in rows],
                )
        rows = await database.fetch_all(
            "SELECT owner_id FROM vectors WHERE space = ? AND octet_length(vector) = ?",
            (space, 4 * dimension),
        )
        index._owners = {owner for (owner,) in rows}
        return index

    def __len__(self) -> int:
        """How many there are, as far as this client has seen."""
        return len(self._owners)

    async def add(self, vectors: Mapping[str, Sequence[float] | Vector]) -> None:
        """Add the vectors of texts, or replace them; they are kept when this returns.

        Raises:
            ValueError: One has another dimension than the space, is zero, or is not finite.
        """
        lengthened = {owner: self._scaled(vector) for owner, vector in vectors.items()}
        async with self._database.transaction() as transaction:
            await transaction.execute_many(
                "INSERT INTO vectors (owner_id, space, vector, embedding)"
                " VALUES (?, ?, ?, CAST(? AS vector)) ON CONFLICT (owner_id, space)"
                " DO UPDATE SET vector = excluded.vector, embedding = excluded.embedding",
                [
                    (owner, self.space, vector.astype("<f4").tobytes(), _text(vector))
                    for owner, vector in lengthened.items()
                ],
            )
        self._owners |= lengthened.keys()

    async def remove(self, owner_ids: Collection[str]) -> None:
        """Take the vectors of texts away."""
        async with self._database.transaction() as transaction:
            await transaction.execute_many(
                "DELETE FROM vectors WHERE owner_id = ? AND space = ?",
                [(owner, self.space) for owner in owner_ids],
            )
        self._owners -= set(owner_ids)

    async def search(
        self, vector: Sequence[float] | Vector, *, limit: int = 10, min_similarity: float = -1.0
    ) -> list[Neighbour]:
        """The texts nearest to `vector`, the nearest first.

        Raises:
            ValueError: As for `add`.
        """
        wanted = _text(self._scaled(vector))
        rows = await self._database.fetch_all(
            "SELECT owner_id, 1 - (embedding <=> CAST(? AS vector)) AS similarity FROM vectors"
            " WHERE space = ? AND octet_length(vector) = ?"
            " ORDER BY embedding <=> CAST(? AS vector), rowid LIMIT ?",
            (wanted, self.space, 4 * self.dimension, wanted, limit),
        )
        return [
            Neighbour(owner, similarity)
            for owner, similarity in rows
            if similarity >= min_similarity
        ]

    async def flush(self) -> None:
        """Nothing waits: what was added is kept."""

    async def close(self) -> None:
        """Nothing is left to do."""

    def _scaled(self, vector: Sequence[float] | Vector) -> Vector:
        return scaled(vector, self.space, self.dimension)


def _text(vector: Vector) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector.tolist()))}]"
