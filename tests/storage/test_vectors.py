"""The vector index in memory: nothing changes the matrix while a search reads it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from storage.vectors import Neighbour, Vector, VectorIndex
from tests.storage.every_store.test_vectors import random_vectors

if TYPE_CHECKING:
    import pytest

    from storage.store import Store


async def test_an_addition_waits_for_the_search_that_reads_the_matrix(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await store.vectors("tiny", 8)
    assert isinstance(index, VectorIndex)
    await index.add(random_vectors(50))
    reading, go_on = threading.Event(), threading.Event()
    nearest_of = index._nearest

    def slowly(wanted: Vector, limit: int, min_similarity: float) -> list[Neighbour]:
        reading.set()
        go_on.wait(20)
        assert len(index) == 50
        return nearest_of(wanted, limit, min_similarity)

    monkeypatch.setattr(index, "_nearest", slowly)
    search = asyncio.create_task(index.search([1] * 8))
    await asyncio.to_thread(reading.wait, 20)
    addition = asyncio.create_task(index.add({"more": [1] * 8}))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not addition.done()
    go_on.set()
    await asyncio.gather(search, addition)
    assert len(index) == 51
