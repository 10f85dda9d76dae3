"""`scrubjay recall`: what would be brought back, with its reasons, or honestly nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.records import Role

if TYPE_CHECKING:
    from storage.store import Store
    from tests.cli.conftest import Scrubjay

AT = 1_790_000_000.0
"""21 September 2026."""

QUESTION = "What was the capital of Peru again?"


async def _talked(store: Store) -> str:
    session = await store.sessions.create(title="About Peru")
    await store.messages.append(
        session.id,
        role=Role.USER,
        content="The capital of Peru is Lima, not Cusco.",
        created_at=AT,
    )
    other = await store.sessions.create(title="Pets")
    await store.messages.append(other.id, role=Role.USER, content="I keep two guinea pigs.")
    await store.facts.add("travel", "Anna flies to Peru in May to see its capital.")
    return session.id


def test_what_was_said_is_told_with_when_where_and_score(scrubjay: Scrubjay) -> None:
    session_id = scrubjay.stored(_talked)
    result = scrubjay.run("recall", QUESTION, "--kinds", "message")
    assert result.code == 0
    [head, text] = result.out.splitlines()
    assert "2026-09-2" in head
    assert "user said in “About Peru”" in head
    assert head.split()[0].endswith("%")
    assert text.strip() == "The capital of Peru is Lima, not Cusco."
    [found] = scrubjay.run("recall", QUESTION, "--kinds", "message", "--json").json
    assert found["session_id"] == session_id
    assert found["position"] == 0
    assert found["message_id"] in head
    assert 0.3 < found["score"] <= 1


def test_reasons_are_explained_with_their_parts(scrubjay: Scrubjay) -> None:
    scrubjay.stored(_talked)
    [found] = scrubjay.run("recall", QUESTION, "--kinds", "message", "--json").json
    assert sum(reason["share"] for reason in found["reasons"]) == pytest.approx(1, abs=0.01)
    told = scrubjay.run("recall", QUESTION, "--kinds", "message", "--explain").out.splitlines()[2:]
    assert [line[6:19].strip() for line in told] == [one["name"] for one in found["reasons"]]
    [words] = [line for line in told if line.strip().startswith("words")]
    assert "█" in words or "▏" in words
    assert words.endswith("%  capital, peru")


def test_memories_are_brought_back_and_kinds_choose(scrubjay: Scrubjay) -> None:
    scrubjay.stored(_talked)
    kinds = [found["kind"] for found in scrubjay.run("recall", QUESTION, "--json").json]
    assert sorted(kinds) == ["fact", "message"]
    [fact] = scrubjay.run("recall", "--kinds", "fact,episode", QUESTION, "--json").json
    assert fact["text"] == "Anna flies to Peru in May to see its capital."
    assert fact["memory_id"]


def test_limits_hold(scrubjay: Scrubjay) -> None:
    scrubjay.stored(_talked)
    assert len(scrubjay.run("recall", QUESTION, "--limit", "1", "--json").json) == 1
    assert scrubjay.run("recall", QUESTION, "--tokens", "1", "--json").json == []
    assert scrubjay.run("recall", QUESTION, "--limit", "0").code == 2


def test_nothing_relevant_is_said_honestly(scrubjay: Scrubjay) -> None:
    scrubjay.stored(_talked)
    result = scrubjay.run("recall", "How do submarines dive?")
    assert (result.code, result.out) == (0, "Nothing relevant is remembered.\n")
    assert scrubjay.run("recall", "How do submarines dive?", "--json").json == []


def test_a_question_is_needed(scrubjay: Scrubjay) -> None:
    assert scrubjay.run("recall").code == 2
    assert "'facts' is none of message, fact" in scrubjay.run("recall", "--kinds", "facts", "x").err
