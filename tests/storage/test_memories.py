"""Episodes, facts and skills: kept, found, streamed, batched, superseded and forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.errors import SkillExistsError, StorageError, UnknownMemoryError

if TYPE_CHECKING:
    from storage.records import Episode
    from storage.store import Store


async def test_an_episode_is_kept_whole(store: Store) -> None:
    plain = await store.episodes.add("went for a walk")
    full = await store.episodes.add(
        "fixed the build",
        session_id="s",
        task_id="t",
        tags=["ci", "python"],
        success=True,
        score=0.9,
        created_at=1e9,
    )
    assert await store.episodes.get(plain.id) == plain
    assert await store.episodes.get(full.id) == full
    assert plain.success is None
    assert full.success is True
    assert await store.episodes.get("nothing") is None


async def test_episodes_are_searched_by_words_and_narrowed_by_what_they_are(store: Store) -> None:
    walk = await store.episodes.add("a walk in Lima by the sea", tags=["fun"], score=0.2)
    build = await store.episodes.add(
        "the build of lima failed", task_id="t", session_id="s", success=False, score=0.5
    )
    fixed = await store.episodes.add(
        "the build was fixed", task_id="t", tags=["ci", "fun"], success=True, score=0.9
    )
    search = store.episodes.search
    assert await search("what happened to the build in Lima?") == [build, fixed, walk]
    assert await search("sea") == [walk]
    assert await search("build", task_id="t", success_only=True) == [fixed]
    assert await search("lima", session_id="s") == [build]
    assert await search("lima", min_score=0.4) == [build]
    assert await search(tags=["fun"]) == [fixed, walk]
    assert await search(tags=["fun", "ci"]) == [fixed]
    assert {episode.id for episode in await search("fun")} == {fixed.id, walk.id}
    assert await search(limit=2) == [fixed, build]
    assert await search("before:2001 lima") == []
    assert await search('"; DROP TABLE') == []


async def test_a_changed_episode_is_found_by_its_new_words_only(store: Store) -> None:
    episode = await store.episodes.add("llama")
    async with store.episodes.batch() as batch:
        batch.retell(episode.id, "alpaca", tags=["wool"])
    await store.episodes.rate(episode.id, success=False, score=3)
    assert await store.episodes.search("llama") == []
    [found] = await store.episodes.search("alpaca")
    assert (found.tags, found.success, found.score) == (("wool",), False, 3)
    await store.episodes.forget(episode.id)
    assert await store.episodes.search("alpaca") == []
    with pytest.raises(UnknownMemoryError):
        await store.episodes.forget(episode.id)


async def test_a_batch_is_written_whole(store: Store) -> None:
    async with store.episodes.batch() as batch:
        added = [batch.add(f"number {number}") for number in range(100)]
        batch.rate(added[7].id, success=True, score=1)
        batch.forget(added[8].id)
        assert await store.episodes.get(added[0].id) is None
    assert len(await store.episodes.search(limit=999)) == 99
    rated = await store.episodes.get(added[7].id)
    assert rated is not None
    assert rated.success is True


async def test_a_batch_that_fails_leaves_nothing(store: Store) -> None:
    async def fail_in_the_block() -> None:
        async with store.episodes.batch() as batch:
            batch.add("lost")
            raise KeyError

    async def fail_in_the_writing() -> None:
        async with store.episodes.batch() as batch:
            batch.add("lost too")
            batch.rate("nothing", success=True, score=1)

    with pytest.raises(KeyError):
        await fail_in_the_block()
    with pytest.raises(UnknownMemoryError):
        await fail_in_the_writing()
    assert await store.episodes.search() == []
    await store.episodes.add("the store goes on")


async def test_streaming_goes_through_all_in_order_and_holds_nothing_back(store: Store) -> None:
    async with store.episodes.batch() as batch:
        added = [batch.add(f"number {number}", score=number) for number in range(25)]
    seen: list[Episode] = []
    async for episode in store.episodes.stream(batch_size=10):
        if not seen:
            late = await store.episodes.add("meanwhile")
        seen.append(episode)
    assert seen == [*added, late]
    good = [episode async for episode in store.episodes.stream(batch_size=3, min_score=20)]
    assert good == added[20:]


async def test_a_fact_is_superseded_and_still_known_for_its_time(store: Store) -> None:
    old = await store.facts.add("Ana", "lives in Arequipa", source_ids=["m1"], valid_from=1000)
    new = await store.facts.supersede(old.id, "lives in Cusco", confidence=0.8, valid_from=2000)
    assert await store.facts.search("where does Ana live?") == [new]
    assert [fact.id for fact in await store.facts.search("Ana", at=1500)] == [old.id]
    assert await store.facts.search("Ana", at=500) == []
    ended = await store.facts.get(old.id)
    assert ended is not None
    assert (ended.superseded_by, ended.valid_to, ended.source_ids) == (new.id, 2000, ("m1",))
    for again in (old.id, "nothing"):
        with pytest.raises(UnknownMemoryError):
            await store.facts.supersede(again, "lives in Lima")
    assert await store.facts.search(subject="Ana") == [new]
    assert await store.facts.search(subject="Ana", min_confidence=0.9) == []


async def test_a_forgotten_fact_is_gone(store: Store) -> None:
    fact = await store.facts.add("Ana", "likes tea")
    await store.facts.forget(fact.id)
    assert await store.facts.get(fact.id) is None
    assert await store.facts.search("tea") == []
    assert [one async for one in store.facts.stream()] == []


async def test_a_fact_is_no_surer_than_certain(store: Store) -> None:
    with pytest.raises(StorageError):
        await store.facts.add("Ana", "is seven feet tall", confidence=1.5)


async def test_a_skill_is_known_by_its_name(store: Store) -> None:
    skill = await store.skills.add("release", "Tag, build, upload.", description="publish a wheel")
    assert await store.skills.get("release") == skill
    assert await store.skills.search("how do I publish?") == [skill]
    with pytest.raises(SkillExistsError):
        await store.skills.add("release", "Just hope.")
    changed = await store.skills.change_text("release", "Tag and let CI do the rest.")
    assert changed.text == "Tag and let CI do the rest."
    assert changed.updated_at > skill.updated_at
    assert await store.skills.search("upload") == []
    assert await store.skills.search("CI rest") == [changed]
    await store.skills.forget("release")
    assert await store.skills.get("release") is None
    with pytest.raises(UnknownMemoryError):
        await store.skills.change_text("release", "anything")
