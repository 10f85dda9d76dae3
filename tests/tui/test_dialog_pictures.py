"""Pictures of what opens over a conversation, or beside it, against the ones that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.images import named
from engine.pool import Job, JobState, Lane
from engine.research.outcome import STATE, Outcome, SourceOutcome, Stage
from storage.articles import Draft
from storage.records import ToolCall
from tests.images import png
from tests.tui.chatting import ANSWER, QUESTION, Chat, chatting, keep_talk
from tests.tui.picturing import SIZES, assert_same, pictures, stop_the_clock
from tests.tui.test_research_panel import REPORT
from tui import telling
from tui.screens.article import ArticleScreen
from tui.screens.consent import ConsentScreen
from tui.telling import tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

LINKS = "\n\nSee [open](https://docs.python.org/3/library/functions.html) and <https://jays.org/>."


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_the_clock(monkeypatch)


async def palette(chat: Chat) -> None:
    await chat.pilot.press("ctrl+p")
    await chat.until_shown("New conversation")
    await chat.pilot.press(*"conv")
    await chat.until_shown("(f2, /rename)")
    await chat.until_shown("(/import)")


async def parameters(chat: Chat) -> None:
    await chat.say("/set")
    await chat.until_shown("temperature")


async def links(chat: Chat) -> None:
    chat.transcript.focus()
    await chat.pilot.press("o")
    await chat.until_shown("jays.org/")


async def editing(chat: Chat) -> None:
    chat.transcript.focus()
    await chat.pilot.press("[", "[", "e")
    await chat.until_shown("asking anew from here")


async def finding(chat: Chat) -> None:
    await chat.pilot.press("ctrl+f", *"file", "enter")
    await chat.until_shown("2 messages")


async def searching(chat: Chat) -> None:
    await chat.pilot.press("ctrl+b")
    await chat.until_shown("SQL window functions")
    await chat.pilot.press("/")
    await chat.pilot.press(*"line")
    await chat.until_shown("found")


async def renaming(chat: Chat) -> None:
    await chat.pilot.press("ctrl+b")
    await chat.until_shown("SQL window functions")
    await chat.pilot.press("e")


async def remembering(chat: Chat) -> None:
    await chat.say("/remember")
    await chat.until(lambda: chat.app.screen is not chat.screen)


async def forgetting(chat: Chat) -> None:
    await chat.engine.memory.remember("The user likes green tea.")
    await chat.say("/forget green tea")
    await chat.until(lambda: chat.app.screen is not chat.screen)


async def researched(chat: Chat) -> None:
    await chat.pilot.press("ctrl+o", "3")
    await chat.until_shown("Research")


async def teaching(chat: Chat) -> None:
    await chat.say("/skill")
    await chat.until(lambda: chat.app.screen is not chat.screen)


async def choosing(chat: Chat) -> None:
    for colour in ("green", "black"):
        await chat.engine.memory.remember(f"The user likes {colour} tea.")
    await chat.say("/forget tea")
    await chat.until_shown("black tea")


async def asked_again(chat: Chat) -> None:
    chat.screen.action_retry_with()
    await chat.until_shown("Answer again with")
    await chat.until_shown("scripted:parrot")


ARTICLE = Draft(
    url="https://en.wikipedia.example/wiki/California_scrub_jay",
    source="wikipedia",
    title="California scrub jay",
    author="Many hands",
    text="The California scrub jay hides thousands of acorns each autumn, and finds them again.\n\n"
    * 12,
    relevance=0.82,
    passage="It remembers what it hid, where, and when.",
)


async def article(chat: Chat) -> None:
    chat.app.push_screen(ArticleScreen(ARTICLE))
    await chat.until_shown("o opens it in the browser")


async def consent(chat: Chat) -> None:
    call = ToolCall(
        id="c1", name="read_file", arguments={"path": "notes/birds.md", "encoding": "utf-8"}
    )
    chat.app.push_screen(ConsentScreen([call, call], ["reading in notes"] * 2, [""] * 2))
    await chat.until_shown("allow once")


async def workers(chat: Chat) -> None:
    """Jobs in every state, with times that don't depend on the machine."""
    jobs: list[Job[None]] = []
    for name, lane, state, detail in (
        ("answer", Lane.CHAT, JobState.RUNNING, "writing the answer"),
        ("fetch smollm2-360m", Lane.UPKEEP, JobState.RUNNING, "129 of 271 MB"),
        ("title", Lane.BACKGROUND, JobState.QUEUED, ""),
        ("commit the answer", Lane.STORAGE, JobState.DONE, ""),
        ("sum up the conversation", Lane.BACKGROUND, JobState.FAILED, ""),
        ("answer", Lane.CHAT, JobState.CANCELLED, ""),
    ):
        job: Job[None] = Job(len(jobs), name, lane, None, chat.engine.events)
        job.state, job.detail = state, detail
        if state is not JobState.QUEUED:
            job.started_at, job.ended_at = 10.0, 11.25 + 3 * len(jobs)
        if name.startswith("fetch"):
            job.progress = 0.48
        if state is JobState.FAILED:
            job.error = RuntimeError("The model answered with nothing.")
        jobs.append(job)
    chat.engine.pool.jobs = lambda: jobs  # type: ignore[method-assign, assignment, return-value]
    await chat.pilot.press("ctrl+o", "4")
    await chat.until_shown("Ended")


async def research(chat: Chat) -> None:
    """A run that is done: its sources, its articles and its charts."""
    outcome = Outcome(
        question=QUESTION,
        stage=Stage.DONE,
        sources=(
            SourceOutcome(name="wikipedia", state=JobState.DONE, articles=8, seconds=1.25),
            SourceOutcome(name="arxiv", state=JobState.FAILED, reason="It answered with 503."),
        ),
        report=REPORT,
    )
    assert chat.session_id is not None
    store = chat.engine._store
    await store.articles.upsert(chat.session_id, [ARTICLE])
    await store.sessions.set_state(chat.session_id, STATE, msgspec.to_builtins(outcome))
    await chat.pilot.press("ctrl+o", "3")
    await chat.until_shown("Articles by source" if chat.app.size.height > 24 else "arxiv")


async def tokens(chat: Chat) -> None:
    """The Tokens tab after a question, which it divides the window by."""
    await chat.pilot.press("ctrl+o", "1")
    await chat.until_shown("Totals")


async def error(chat: Chat) -> None:
    tell(
        chat.screen,
        "The disk is full. Make room on it; what is on the screen is not lost.",
        "error",
    )
    await chat.until_shown("The disk is full")


async def confirmed(chat: Chat) -> None:
    tell(chat.screen, "Copied the last answer.")
    await chat.until_shown("Copied")


async def image(chat: Chat) -> None:
    session = await keep_talk(
        chat.engine,
        "A photo",
        f"What is in @photo.png?\n\n{named('photo.png', 64 * 'a', png(640, 480))}",
        "A grey wall, evenly lit.",
    )
    await chat.open(session.id)
    await chat.until_shown("A grey wall")
    chat.transcript.focus()
    await chat.pilot.press("[", "[")


SCENES = (
    palette,
    parameters,
    links,
    editing,
    finding,
    searching,
    renaming,
    remembering,
    forgetting,
    researched,
    teaching,
    choosing,
    asked_again,
    article,
    consent,
    workers,
    research,
    tokens,
    error,
    confirmed,
    image,
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_it_looks_as_it_did(
    scene: Callable[[Chat], Awaitable[None]],
    size: str,
    tmp_path: Path,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telling, "SECONDS", dict.fromkeys(telling.SECONDS, 600))
    async with chatting(tmp_path, size=SIZES[size]) as chat:
        await chat.ready()
        await keep_talk(chat.engine, "SQL window functions", "a question", "an answer")
        session = await keep_talk(chat.engine, "Read a file", QUESTION, ANSWER + LINKS)
        await chat.open(session.id)
        await chat.until_shown("Leave the closing to")
        await chat.until_shown("context 575/2k")
        if chat.app.size.width == SIZES["200x60"][0]:
            await chat.until_shown("Last answer")  # in the inspector
        await scene(chat)
        taken = await pictures(chat)
    assert_same(taken, snapshot)
