"""The vector index: exact neighbours, kept on disk, safe while it changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.ids import new_id
from storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from storage.postgres.address import Address

RANDOM = np.random.default_rng(7)


def random_vectors(count: int, dimension: int = 8) -> dict[str, list[float]]:
    return {f"v{number}": RANDOM.normal(size=dimension).tolist() for number in range(count)}


def nearest(vectors: dict[str, list[float]], wanted: list[float], limit: int) -> list[str]:
    def cosine(vector: list[float]) -> float:
        one, other = np.array(vector), np.array(wanted)
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    return sorted(vectors, key=lambda owner: -cosine(vectors[owner]))[:limit]


async def test_the_nearest_come_first_whatever_their_length(store: Store) -> None:
    index = await store.vectors("tiny", 3)
    await index.add({"east": [10, 0, 0], "north": [0, 0.1, 0], "north-east": [5, 5, 0]})
    found = await index.search([1, 0.2, 0], limit=2)
    assert [neighbour.owner_id for neighbour in found] == ["east", "north-east"]
    assert found[0].similarity == pytest.approx(1 / np.hypot(1, 0.2))
    assert await index.search([0, 0, 1], min_similarity=0.5) == []


async def test_a_search_is_exact(store: Store) -> None:
    vectors = random_vectors(500)
    index = await store.vectors("tiny", 8)
    await index.add(vectors)
    for wanted in random_vectors(20).values():
        found = [neighbour.owner_id for neighbour in await index.search(wanted, limit=7)]
        assert found == nearest(vectors, wanted, 7)


async def test_vectors_come_back_after_a_restart(place: Path | Address) -> None:
    vectors = random_vectors(2500)
    async with await Store.open(place) as store:
        await (await store.vectors("tiny", 8)).add(vectors)
        await (await store.vectors("other", 4)).add({"v0": [1, 0, 0, 0]})
    async with await Store.open(place) as store:
        index = await store.vectors("tiny", 8)
        assert len(index) == 2500
        wanted = next(iter(random_vectors(1).values()))
        found = [neighbour.owner_id for neighbour in await index.search(wanted)]
        assert found == nearest(vectors, wanted, 10)
        assert len(await store.vectors("other", 4)) == 1


async def test_vectors_go_with_their_memory(place: Path | Address) -> None:
    async with await Store.open(place) as store:
        kept, gone = await store.episodes.add("kept"), await store.episodes.add("gone")
        index = await store.vectors("tiny", 2)
        await index.add({kept.id: [1, 0], gone.id: [0, 1]})
        await index.flush()
        await store.episodes.forget(gone.id)
    async with await Store.open(place) as store:
        found = await (await store.vectors("tiny", 2)).search([1, 1])
        assert [neighbour.owner_id for neighbour in found] == [kept.id]


async def test_a_removed_vector_is_gone_even_if_it_was_never_written(place: Path | Address) -> None:
    async with await Store.open(place) as store:
        index = await store.vectors("tiny", 2)
        await index.add({"one": [1, 0], "two": [0, 1]})
        await index.remove(["one", "never there"])
    async with await Store.open(place) as store:
        found = await (await store.vectors("tiny", 2)).search([1, 1])
        assert [neighbour.owner_id for neighbour in found] == ["two"]


@pytest.mark.parametrize("vector", [[1, 2], [0, 0, 0], [1, float("nan"), 0], [float("inf"), 0, 0]])
async def test_what_is_no_vector_of_the_space_is_refused(store: Store, vector: list[float]) -> None:
    index = await store.vectors("tiny", 3)
    with pytest.raises(ValueError, match=r"dimensions|finite"):
        await index.add({"good": [1, 1, 1], "bad": vector})
    with pytest.raises(ValueError, match=r"dimensions|finite"):
        await index.search(vector)
    assert len(index) == 0


async def test_a_cancelled_search_leaves_the_lock_free(store: Store) -> None:
    index = await store.vectors("tiny", 8)
    await index.add(random_vectors(50))
    search = asyncio.create_task(index.search([1] * 8))
    await asyncio.sleep(0)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    async with asyncio.timeout(5):
        await index.add({"more": [1] * 8})


async def test_searches_see_each_addition_whole(store: Store) -> None:
    index = await store.vectors("tiny", 8)
    seen: list[int] = []

    async def add() -> None:
        for number in range(20):
            await index.add({f"{number}-{part}": [1] * 8 for part in range(50)})

    async def search() -> None:
        while not seen or seen[-1] < 1000:
            seen.append(len(await index.search([1] * 8, limit=5000)))

    await asyncio.gather(add(), search(), search())
    assert all(count % 50 == 0 for count in seen)


changes = st.lists(
    st.tuples(st.sampled_from(["add", "remove"]), st.sets(st.integers(0, 9), max_size=5)),
    max_size=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes)
async def test_any_changes_leave_what_a_dictionary_would(
    store: Store, changes: list[tuple[str, set[int]]]
) -> None:
    index = await store.vectors(new_id(), 8)
    model: dict[str, list[float]] = {}
    for action, numbers in changes:
        owners = [f"v{number}" for number in numbers]
        if action == "add":
            new = dict(zip(owners, random_vectors(len(owners)).values(), strict=True))
            await index.add(new)
            model |= new
        else:
            await index.remove(owners)
            for owner in owners:
                model.pop(owner, None)
    wanted = [1.0, 2, 3, 4, 5, 6, 7, 8]
    found = [neighbour.owner_id for neighbour in await index.search(wanted, limit=99)]
    assert found == nearest(model, wanted, 99)
    await index.close()
