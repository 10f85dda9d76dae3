"""`scrubjay memory`: what is remembered, from a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Role

if TYPE_CHECKING:
    from storage.store import Store
    from tests.cli.conftest import Scrubjay


async def _learnt(store: Store) -> str:
    session = await store.sessions.create(title="Tea")
    message = await store.messages.append(
        session.id, role=Role.USER, content="I like green tea best."
    )
    fact = await store.facts.add(
        "favourite tea", "The user likes green tea best.", source_ids=[message.id], confidence=0.8
    )
    await store.episodes.add("We compared teas.", session_id=session.id)
    await store.skills.add("tea", "Warm the pot.\nThen brew.")
    return fact.id


def test_what_is_remembered_is_listed_and_found(scrubjay: Scrubjay) -> None:
    assert scrubjay.run("memory", "list").out == "Nothing is remembered that fits.\n"
    fact_id = scrubjay.stored(_learnt)
    listed = scrubjay.run("memory", "list", "--json").json
    assert sorted(kept["kind"] for kept in listed) == ["episode", "fact", "skill"]
    [fact] = scrubjay.run("memory", "list", "--kinds", "fact", "--json").json
    assert fact["id"] == fact_id
    shown = scrubjay.run("memory", "search", "green").out.splitlines()
    assert len(shown) == 2
    assert shown[0].startswith(f"fact     {fact_id}  ")
    assert "favourite tea · 80% sure" in shown[0]
    assert shown[1].strip() == "The user likes green tea best."


def test_one_is_changed_shown_with_its_past_and_forgotten(scrubjay: Scrubjay) -> None:
    fact_id = scrubjay.stored(_learnt)
    edited = scrubjay.run("memory", "edit", fact_id[:20], "The user likes oolong best.", "--json")
    now = edited.json
    assert now["id"] != fact_id
    assert scrubjay.run("memory", "pin", now["id"]).code == 0
    shown = scrubjay.run("memory", "show", now["id"], "--json").json
    assert shown["memory"]["pinned"] is True
    assert [one["id"] for one in shown["before"]] == [fact_id]
    assert [one["content"] for one in shown["sources"]] == ["I like green tea best."]
    told = scrubjay.run("memory", "show", now["id"]).out
    assert told.index("oolong") < told.index("I like green tea") < told.index("before:")
    assert scrubjay.run("memory", "unpin", now["id"], "--json").json["pinned"] is False

    unsure = scrubjay.run("memory", "forget", now["id"])
    assert unsure.code == 2
    assert "--yes" in unsure.err
    assert scrubjay.run("memory", "forget", now["id"], "--yes").out.startswith("Forgot: “The user")
    assert scrubjay.run("memory", "list", "--kinds", "fact", "--superseded", "--json").json == []


def test_something_is_remembered(scrubjay: Scrubjay) -> None:
    kept = scrubjay.run("memory", "remember", "My", "name", "is", "Ada.", "--json").json
    assert kept["kind"] == "fact"
    assert "Ada" in kept["text"]
    skill = ("memory", "remember", "--kind", "skill", "Warm the pot.")
    assert scrubjay.run(*skill).code == 2
    assert scrubjay.run(*skill, "--name", "tea", "--json").json["name"] == "tea"


def test_what_is_not_there_is_an_error(scrubjay: Scrubjay) -> None:
    result = scrubjay.run("memory", "show", "abc")
    assert result.code == 1
    assert "There is no memory abc." in result.err


def test_an_empty_name_is_not_the_only_memory(scrubjay: Scrubjay) -> None:
    scrubjay.run("memory", "remember", "I like tea")
    forgotten = scrubjay.run("memory", "forget", "", "--yes")
    assert forgotten.code == 1
    assert "An empty name is no memory." in forgotten.err
    assert "I like tea" in scrubjay.run("memory", "list").out
