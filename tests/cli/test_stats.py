"""`scrubjay stats` and `scrubjay context`: what answers cost, and what the next one is shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from storage.records import Finish, Role, Usage
from tests.embedded_weights import models_folder

if TYPE_CHECKING:
    from storage.store import Store
    from tests.cli.conftest import Scrubjay


async def _two_answers(store: Store) -> str:
    session = await store.sessions.create(title="Birds")
    for model, eval_tokens in (("ollama:jay", 30), ("embedded:wren", 10)):
        await store.messages.append(session.id, role=Role.USER, content="Who sings?")
        answer = await store.messages.append(
            session.id, role=Role.ASSISTANT, content="", finish=Finish.STREAMING
        )
        usage = Usage(
            prompt_tokens=100, eval_tokens=eval_tokens, eval_seconds=2.0, first_token_seconds=0.5
        )
        await store.messages.finish(
            answer.id, finish=Finish.COMPLETE, content="A jay.", model=model, usage=usage
        )
    return session.id


def test_costs_are_summed_by_day_model_and_session(scrubjay: Scrubjay) -> None:
    session_id = scrubjay.stored(_two_answers)
    stats = scrubjay.run("stats", "--json").json
    assert stats["total"]["answers"] == 2
    assert stats["total"]["eval_tokens"] == 40
    assert [row["key"] for row in stats["by_model"]] == ["ollama:jay", "embedded:wren"]
    assert stats["by_model"][0]["tokens_per_second"] == 15
    assert stats["by_model"][0]["first_token_seconds"] == 0.5
    assert [row["key"] for row in stats["by_session"]] == [session_id]
    assert sum(row["answers"] for row in stats["by_day"]) == 2
    assert stats["by_day"][-1]["key"] <= time.strftime("%Y-%m-%d")


def test_costs_are_shown_as_a_table(scrubjay: Scrubjay) -> None:
    session_id = scrubjay.stored(_two_answers)
    shown = scrubjay.run("stats").out
    assert shown.startswith("2 answers, 200 tokens read, 40 written\n")
    assert "ollama:jay" in shown
    assert f"{session_id[:12]}  Birds" in shown


def test_costs_of_nothing_are_nothing(scrubjay: Scrubjay) -> None:
    stats = scrubjay.run("stats", "--json").json
    assert stats["total"]["answers"] == 0
    assert stats["by_day"] == []


def test_the_context_of_a_session_is_told_part_by_part(scrubjay: Scrubjay) -> None:
    scrubjay.stored(_two_answers)
    weights = str(models_folder())
    context = scrubjay.run("context", "last", "--json", SCRUBJAY_MODELS_DIR=weights).json
    assert context["model"] == "embedded:smollm2-135m"
    assert context["exact"] is True
    parts = {segment["name"]: segment for segment in context["segments"]}
    assert parts["conversation"]["items"] == 2
    assert sum(part["tokens"] for part in parts.values()) == pytest.approx(
        context["tokens"], abs=12
    )
    assert context["tokens"] + context["reserve"] <= context["window"]
    assert context["messages"][-1]["content"] == "Who sings?"
    shown = scrubjay.run("context", "last", SCRUBJAY_MODELS_DIR=weights).out
    assert "kept for the answer" in shown
    assert "conversation" in shown


def test_the_context_of_no_session_is_an_error(scrubjay: Scrubjay) -> None:
    result = scrubjay.run("context", "last")
    assert result.code == 1
    assert result.err
