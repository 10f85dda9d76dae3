"""What answers cost, summed by day, by model and by session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from storage.records import Finish, Role, Usage

if TYPE_CHECKING:
    from storage.store import Store


async def answered(
    store: Store, session_id: str, model: str, tokens: int, first: float | None = None
) -> None:
    message = await store.messages.append(
        session_id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
    )
    await store.messages.finish(
        message.id,
        finish=Finish.COMPLETE,
        content="words",
        model=model,
        usage=Usage(
            prompt_tokens=10, eval_tokens=tokens, eval_seconds=2.0, first_token_seconds=first
        ),
    )


async def test_models_are_summed_the_costliest_first(store: Store) -> None:
    session = await store.sessions.create()
    await answered(store, session.id, "a:small", 5, first=0.2)
    await answered(store, session.id, "b:large", 50)
    await answered(store, session.id, "a:small", 7, first=0.4)
    large, small = await store.usage_by("model")
    assert (large.key, large.answers, large.eval_tokens) == ("b:large", 1, 50)
    assert large.first_token_seconds is None
    assert (small.key, small.answers, small.prompt_tokens, small.eval_tokens) == (
        "a:small", 2, 20, 12,
    )  # fmt: skip
    assert isinstance(small.answers, int)  # a server sums whole numbers as decimal ones
    assert small.tokens_per_second == 3
    assert small.first_token_seconds == pytest.approx(0.3)


async def test_sessions_and_days_are_summed_and_can_be_cut_short(store: Store) -> None:
    before = time.strftime("%Y-%m-%d")
    sessions = [await store.sessions.create() for _ in range(3)]
    for n, session in enumerate(sessions):
        await answered(store, session.id, "a:small", 10 * n + 1)
    rows = await store.usage_by("session", limit=2)
    assert [row.key for row in rows] == [sessions[2].id, sessions[1].id]
    days = await store.usage_by("day")
    assert sum(day.answers for day in days) == 3
    assert {day.key for day in days} <= {before, time.strftime("%Y-%m-%d")}


async def test_only_what_is_asked_for_is_summed(store: Store) -> None:
    session = await store.sessions.create()
    await answered(store, session.id, "a:small", 5)
    await store.messages.append(session.id, role=Role.USER, content="no answer")
    assert await store.usage_by("model", since=time.time() + 60) == []
    (row,) = await store.usage_by("model", since=time.time() - 60)
    assert row.answers == 1


async def test_the_sums_follow_what_becomes_of_answers(store: Store) -> None:
    kept, purged = [await store.sessions.create() for _ in range(2)]
    await answered(store, kept.id, "a:small", 5, first=0.2)
    await answered(store, purged.id, "a:small", 50, first=0.4)
    await answered(store, purged.id, "b:large", 7)
    assert [row.key for row in await store.usage_by("model")] == ["a:small", "b:large"]
    await store.sessions.delete(purged.id)
    assert await store.sessions.purge_deleted(time.time() + 60) == 1
    [row] = await store.usage_by("model")
    assert (row.key, row.answers, row.prompt_tokens, row.eval_tokens) == ("a:small", 1, 10, 5)
    assert row.first_token_seconds == pytest.approx(0.2)
    total = await store.usage()
    assert (total.answers, total.eval_tokens) == (1, 5)
