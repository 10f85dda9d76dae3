"""The rolling summary: versioned, bounded, and never in the way of an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.config import ContextSettings, Settings
from engine.context.summary import (
    EXTRACTED,
    LONGEST_CHARACTERS,
    Summary,
    extract,
    latest_summary,
    summarize,
)
from engine.events import ContextPacked, Notice
from engine.llm.base import ModelError
from engine.pool import JobState, Lane
from storage.records import Message, Role
from tests.engine.support import SETTINGS, Watch, running_engine
from tests.scripted import INFO, ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

ABLE = msgspec.structs.replace(INFO, parameters="7B", window=8192)
QUICK = msgspec.structs.replace(SETTINGS, context=ContextSettings(summarize_after=4, keep_last=2))


def said(position: int, text: str, role: Role = Role.USER) -> Message:
    return Message(
        id=f"m{position}", session_id="s", parent_id=None, position=position, role=role,
        content=text, created_at=0.0,
    )  # fmt: skip


class Chronicler(ScriptedBackend):
    """Answers a question with its number, and writes a summary that tells its requests apart."""

    def __init__(self) -> None:
        super().__init__()
        self.info = ABLE
        self.summaries = 0
        self.failing = False
        self.slow = False

    @property
    def asked_for_summaries(self) -> list[str]:
        return [r.messages[-1].content for r in self.requests if "minutes" in r.messages[0].content]

    def chat(self, request):  # type: ignore[no-untyped-def]
        first = request.messages[0].content
        if "minutes of a conversation" in first:
            self.summaries += 1
            told = f"Version {self.summaries} of what the user and the assistant said."
            waits = [asyncio.Event()] if self.slow else []
            self.scripts.insert(0, [*waits, ModelError("crashed", "No.") if self.failing else told])
        elif "Write a title" in first:
            self.scripts.insert(0, [""])
        else:
            self.scripts.insert(0, ["Noted."])
        return super().chat(request)


async def talk(engine: Engine, session_id: str | None, *texts: str) -> str:
    """Ask these one after another, and let the background work come to its end each time."""
    for text in texts:
        turn = await engine.send(session_id, text)
        await turn.wait()
        session_id = turn.session_id
        await settled(engine)
    assert session_id is not None
    return session_id


async def settled(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while jobs := engine.pool.living():
            await jobs[0].ended()


async def summary_of(engine: Engine, session_id: str) -> Summary | None:
    return latest_summary(await engine.library.session(session_id))


async def test_a_long_conversation_is_summed_up_and_the_messages_stay(tmp_path: Path) -> None:
    backend = Chronicler()
    async with running_engine(tmp_path, backend, QUICK) as engine:
        session_id = await talk(engine, None, "My name is Ada.", "two", "three")
        summary = await summary_of(engine, session_id)
        assert summary is not None
        assert (summary.version, summary.until) == (1, 4)
        assert "My name is Ada." in backend.asked_for_summaries[0]
        session = await engine.library.session(session_id)
        messages = await engine.library.page(session_id, 0, 100)
        assert len(messages) == session.message_count == 6
        assert (summary.first_id, summary.last_id) == (messages[0].id, messages[3].id)


async def test_the_next_question_is_shown_the_summary_and_what_it_does_not_cover(
    tmp_path: Path,
) -> None:
    backend = Chronicler()
    async with running_engine(tmp_path, backend, QUICK) as engine:
        watch = Watch(engine)
        await talk(engine, None, "one", "two", "three", "four")
        packed = watch.of(ContextPacked)[-1].packed
        assert "Version 1 of what" in packed.request.messages[0].content
        assert [m.content for m in packed.request.messages[1:]] == ["three", "Noted.", "four"]


async def test_a_summary_is_made_of_the_one_before_and_what_is_new(tmp_path: Path) -> None:
    backend = Chronicler()
    async with running_engine(tmp_path, backend, QUICK) as engine:
        session_id = await talk(engine, None, "one", "two", "three", "four", "five")
        summary = await summary_of(engine, session_id)
        assert summary is not None
        assert (summary.version, summary.until) == (2, 8)
        _, second = backend.asked_for_summaries
        assert "Version 1 of what" in second
        assert "three" in second
        assert "user: one" not in second


async def test_a_model_that_fails_leaves_the_summary_as_it_was_and_the_user_is_told(
    tmp_path: Path,
) -> None:
    backend = Chronicler()
    async with running_engine(tmp_path, backend, QUICK) as engine:
        session_id = await talk(engine, None, "one", "two", "three")
        before = await summary_of(engine, session_id)
        backend.failing = True
        watch = Watch(engine)
        await talk(engine, session_id, "four", "five")
        assert await summary_of(engine, session_id) == before
        (notice,) = watch.of(Notice)
        assert "not summed up" in notice.text
        assert notice.severity == "warning"
        backend.failing = False
        await talk(engine, session_id, "six")
        after = await summary_of(engine, session_id)
        assert after is not None
        assert after.version == 2


async def test_a_question_does_not_wait_for_a_summary(tmp_path: Path) -> None:
    backend = Chronicler()
    async with running_engine(tmp_path, backend, QUICK) as engine:
        session_id = await talk(engine, None, "one", "two")
        backend.slow = True
        turn = await engine.send(session_id, "three")
        await turn.wait()
        (job,) = [job for job in engine.pool.living(Lane.BACKGROUND) if "sum up" in job.name]
        answer = await (await engine.send(session_id, "four")).wait()
        assert answer.content == "Noted."
        assert job.state is JobState.CANCELLED
        backend.slow = False
        await talk(engine, session_id, "five")
        assert await summary_of(engine, session_id) is not None


@pytest.mark.parametrize("text", ["", "   ", "Yes.", "ok ok"])
async def test_what_is_no_summary_is_not_taken_for_one(text: str) -> None:
    backend = ScriptedBackend([text])
    with pytest.raises(ModelError, match="no usable summary"):
        await summarize(backend, ABLE, [said(0, "one")], None, now=0.0)


async def test_a_summary_is_bounded_whatever_the_model_writes() -> None:
    backend = ScriptedBackend(["The user said a word. " * 500])
    summary = await summarize(backend, ABLE, [said(0, "one")], None, now=0.0)
    assert len(summary.text) <= LONGEST_CHARACTERS
    assert summary.text.endswith(".")


def test_without_an_able_model_what_the_user_stated_is_kept() -> None:
    messages = [
        said(0, "My name is Ada. I live in Porto. And so on."),
        said(1, "Hello Ada, you live in Lisbon.", Role.ASSISTANT),
        said(2, "What is the weather like?"),
    ]
    summary = extract(messages, None, now=0.0)
    assert summary.text == "The user said: My name is Ada.\nThe user said: I live in Porto."
    assert summary.model == EXTRACTED
    assert summary.until == 3
    later = extract([said(3, "I have a dog called Rex.")], summary, now=0.0)
    assert later.version == 2
    assert "My name is Ada." in later.text
    assert "a dog called Rex" in later.text


def test_what_is_kept_without_a_model_is_bounded_and_the_short_facts_stay() -> None:
    summary = extract([said(0, "My name is Ada.")], None, now=0.0)
    for n in range(1, 500):
        text = f"On day {n} a lot of things happened that fill a whole line of this diary."
        summary = extract([said(n, text)], summary, now=0.0)
    assert len(summary.text) <= LONGEST_CHARACTERS
    assert "My name is Ada." in summary.text


async def test_summing_up_can_be_switched_off(tmp_path: Path) -> None:
    settings: Settings = msgspec.structs.replace(
        SETTINGS, context=ContextSettings(summarize_after=0)
    )
    async with running_engine(tmp_path, Chronicler(), settings) as engine:
        session_id = await talk(engine, None, *(f"number {n}" for n in range(8)))
        assert await summary_of(engine, session_id) is None
