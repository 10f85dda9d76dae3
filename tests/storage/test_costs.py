"""What everyday questions cost: each is answered from an index, so length does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from storage.database import Database
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from storage.store import Store


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """The statements that readers are given."""
    statements: list[tuple[str, Any]] = []
    fetch_all = Database.fetch_all

    async def noting(self: Database, sql: str, parameters: Any = ()) -> list[Any]:
        if not sql.startswith("EXPLAIN"):
            statements.append((sql, parameters))
        return await fetch_all(self, sql, parameters)

    monkeypatch.setattr(Database, "fetch_all", noting)
    return statements


QUESTIONS: dict[str, Callable[[Store, str, str], Awaitable[object]]] = {
    "sessions": lambda store, _, __: store.sessions.list(),
    "archived sessions": lambda store, _, __: store.sessions.list(archived=True),
    "a session": lambda store, session, _: store.sessions.get(session),
    "a page": lambda store, session, _: store.messages.page(session, 10, 20),
    "the tail": lambda store, session, _: store.messages.tail(session, 10),
    "a message": lambda store, _, message: store.messages.get(message),
    "around a message": lambda store, _, message: store.messages.around(message),
    "alternatives": lambda store, _, message: store.messages.alternatives(message),
    "abandoned answers": lambda store, _, __: store.messages.interrupt_abandoned(),
    "usage of a session": lambda store, session, _: store.usage(session_id=session),
    "usage ever": lambda store, _, __: store.usage(),
    "usage by day": lambda store, _, __: store.usage_by("day"),
    "usage by model": lambda store, _, __: store.usage_by("model"),
    "usage since": lambda store, _, __: store.usage(since=1000.0),
    "a search": lambda store, _, __: store.search.sessions("some words"),
    "a recall": lambda store, _, __: store.search.messages("some words"),
    "an episode search": lambda store, _, __: store.episodes.search("some words"),
    "episodes of a session": lambda store, session, _: store.episodes.search(session_id=session),
    "facts on a subject": lambda store, _, __: store.facts.search(subject="Ana"),
    "a skill": lambda store, _, __: store.skills.named("release"),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_no_question_reads_a_whole_table_or_sorts_one(
    store: Store, asked: list[tuple[str, Any]], question: str
) -> None:
    session = await store.sessions.create()
    for _ in range(30):
        message = await store.messages.append(session.id, role=Role.USER, content="some words")
    asked.clear()
    await QUESTIONS[question](store, session.id, message.id)
    assert asked
    for sql, parameters in list(asked):
        plan = await store._database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", parameters)
        steps = [step for _, _, _, step in plan]
        for step in steps:
            # Full-text indexes, subqueries and tables read in key order up to a limit are fine.
            scans_table = step.startswith("SCAN") and "INDEX" not in step and "VIRTUAL" not in step
            assert not scans_table or is_bounded(step, sql), (sql, steps)


def is_bounded(step: str, sql: str) -> bool:
    # Days are few, and so are models.
    return step in ("SCAN best", "SCAN candidate", "SCAN usage_by_day") or step.startswith(
        ("SCAN (subquery", "SCAN CONSTANT")
    )


async def test_alternatives_are_found_by_their_place(
    store: Store, asked: list[tuple[str, Any]]
) -> None:
    await store.messages.alternatives("any")
    [(sql, parameters)] = asked
    plan = await store._database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", parameters)
    assert "(session_id=? AND position=?)" in str(plan)


async def test_listing_sessions_never_sorts(store: Store, asked: list[tuple[str, Any]]) -> None:
    first = await store.sessions.create()
    await store.sessions.list(before=first)
    await store.sessions.list(before=first, archived=True)
    await store.messages.tail(first.id, 5)
    await store.messages.page(first.id, 0, 5)
    for sql, parameters in list(asked):
        plan = await store._database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", parameters)
        assert not [step for *_, step in plan if "TEMP B-TREE" in step], (sql, plan)
