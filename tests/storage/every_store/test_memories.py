"""Episodes, facts and skills: kept, found, streamed, batched, superseded and forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.errors import SkillExistsError, StorageError, UnknownMemoryError
from storage.records import Role

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
    assert await store.skills.named("release") == await store.skills.get(skill.id) == skill
    assert await store.skills.search("how do I publish?") == [skill]
    with pytest.raises(SkillExistsError):
        await store.skills.add("release", "Just hope.")
    changed = await store.skills.change_text(skill.id, "Tag and let CI do the rest.")
    assert changed.text == "Tag and let CI do the rest."
    assert changed.updated_at > skill.updated_at
    assert await store.skills.search("upload") == []
    assert await store.skills.search("CI rest") == [changed]
    await store.skills.forget(skill.id)
    assert await store.skills.named("release") is None
    with pytest.raises(UnknownMemoryError):
        await store.skills.change_text(skill.id, "anything")


async def test_each_person_has_memories_of_their_own(store: Store) -> None:
    for entity in (None, "ana", "ben"):
        await store.facts.add("home", f"lives with {entity}", entity_id=entity)
        await store.episodes.add(f"a walk with {entity}", entity_id=entity)
        await store.skills.add("walk", f"Call {entity}.", entity_id=entity)
    for entity in (None, "ana", "ben"):
        for kind in (store.facts, store.episodes, store.skills):
            [found] = await kind.search(f"{entity} walk lives call", entity_id=entity)
            assert str(entity) in found.text
            assert await kind.search(entity_id=entity) == [found]
            assert await kind.count(entity) == 1
    assert await store.skills.named("walk", "cem") is None
    assert await store.facts.search("home", subject="home", entity_id="cem") == []


async def test_a_search_may_ask_for_what_one_program_learnt(store: Store) -> None:
    mine = await store.facts.add("tea", "likes tea", process_id="barista")
    await store.facts.add("tea", "likes strong tea", process_id="nurse")
    await store.facts.add("tea", "likes weak tea")
    assert await store.facts.search("tea", process_id="barista") == [mine]
    assert len(await store.facts.search("tea")) == 3


async def test_what_is_pinned_comes_first(store: Store) -> None:
    first, second, third = [await store.facts.add("n", f"number {n}") for n in range(3)]
    pinned = await store.facts.pin(first.id, True)
    assert pinned.pinned
    assert await store.facts.search() == [pinned, third, second]
    assert await store.facts.search(limit=2, offset=1) == [third, second]
    await store.facts.pin(first.id, False)
    assert await store.facts.search() == [third, second, first]
    with pytest.raises(UnknownMemoryError):
        await store.skills.pin("nothing", True)


async def test_a_fact_that_is_told_again_is_surer_and_has_more_sources(store: Store) -> None:
    fact = await store.facts.add("tea", "likes tea", source_ids=["m1"], confidence=0.5)
    async with store.facts.batch() as batch:
        batch.confirm(fact, source_ids=["m1", "m2"], confidence=0.75)
    [found] = await store.facts.search("tea")
    assert (found.source_ids, found.confidence) == (("m1", "m2"), 0.75)


async def test_a_fact_may_end_without_another(store: Store) -> None:
    fact = await store.facts.add("tea", "likes tea", valid_from=1000)
    async with store.facts.batch() as batch:
        batch.end(fact, at=2000)
    assert await store.facts.search("tea") == []
    assert await store.facts.count() == 0
    [found] = await store.facts.search("tea", ended=True)
    assert (found.valid_to, found.superseded_by) == (2000, None)
    assert await store.facts.ended() == [(found, None)]
    other = await store.facts.add("milk", "likes milk")
    await store.facts.supersede(other.id, "likes oat milk")
    assert [(one.id, new) for one, new in await store.facts.ended()] == [
        (other.id, "likes oat milk"),
        (fact.id, None),
    ]
    assert await store.facts.ended("ana") == []


async def test_the_history_of_a_fact_is_what_it_superseded(store: Store) -> None:
    first = await store.facts.add("home", "lives in Lima", entity_id="ana")
    second = await store.facts.supersede(first.id, "lives in Cusco")
    third = await store.facts.supersede(second.id, "lives in Puno")
    await store.facts.add("home", "lives in Ica", entity_id="ana")
    assert [fact.id for fact in await store.facts.history(third.id)] == [
        third.id,
        second.id,
        first.id,
    ]
    assert third.entity_id == "ana"
    assert await store.facts.history("nothing") == []


async def test_recall_never_finds_what_it_is_to_leave_out(store: Store) -> None:
    session = await store.sessions.create()
    messages = [
        await store.messages.append(session.id, role=Role.USER, content=f"number {n}")
        for n in range(2)
    ]
    keys = [one.key for one in await store.recall_source.between(0, 9, user_id=None, limit=9)]
    await store.recall_source.leave_out([messages[0].id])
    await store.recall_source.leave_out([messages[0].id, "nothing"])
    found = await store.recall_source.found(keys, user_id=None)
    assert [one.message for one in found.values()] == messages[1:]


async def test_what_was_said_is_found_by_beginnings_and_can_be_struck_out(store: Store) -> None:
    session = await store.sessions.create(title="the xylophonist")
    said = await store.messages.append(session.id, role=Role.USER, content="I am a xylophonist.")
    index = await store.vectors("space", 3)
    await index.add({said.id: [1, 0, 0]})
    await index.flush()
    saying = store.recall_source.saying
    assert await saying([["xylophon", "xylophonist"]], user_id=None) == [said]
    assert await saying([["xylophonist"], ["piano"]], user_id=None) == []
    assert await saying([["xylophonist"]], user_id="ana") == []
    await store.messages.strike(said.id, content="[forgotten]")
    await store.forget_vectors([said.id])
    assert await index.search([1, 0, 0]) == []
    assert await saying([["xylophon"]], user_id=None) == []
    assert await store.search.messages("xylophonist") == []
    assert await store.search.sessions("forgotten")
