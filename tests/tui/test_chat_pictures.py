"""Pictures of the main states, at three sizes, dark and light, against the ones that are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.llm.base import ModelError
from storage.records import Failure, Role, ToolCall
from tests.scripted import ScriptedBackend
from tests.tui.chatting import (
    ANSWER,
    FIRST_AT,
    QUESTION,
    USAGE,
    Chat,
    chatting,
    keep_talk,
)
from tests.tui.picturing import SIZES, SMALLEST, assert_same, pictures, stop_the_clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

TITLES = ("Plan a weekend in Lima", "Why is the sky blue?", "SQL window functions")


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_the_clock(monkeypatch)


async def welcome(chat: Chat) -> None:
    await chat.until_shown("parrot answers")


async def fetching(chat: Chat) -> None:
    chat.engine.models.current = None
    chat.engine.models._tell("fetching", "fetching smollm2-135m (93 MB), once", 0.43)
    await chat.until_shown("You can write already")
    if chat.app.size.width == SIZES["200x60"][0]:
        await chat.until_shown("Totals")  # in the inspector


async def reading(chat: Chat) -> None:
    for title in TITLES:
        await keep_talk(chat.engine, title, "a question", "an answer")
    session = await keep_talk(chat.engine, "Read a file line by line", QUESTION, ANSWER)
    await chat.open(session.id)
    await chat.until_shown("Leave the closing to")
    await chat.until_shown("context 575/2k")
    if chat.app.size.width == SIZES["200x60"][0]:
        await chat.until_shown("Last answer")  # in the inspector


async def answering(chat: Chat) -> None:
    await reading(chat)
    await chat.say("And in Rust?")
    await chat.until_shown("over the lines")
    await chat.say("And in Go?")
    await chat.until_shown("queued")


async def failed(chat: Chat) -> None:
    await chat.say("Are you there?")
    await chat.until_shown("failed · ctrl+r")
    if chat.app.size.width == SIZES["200x60"][0]:
        await chat.until_shown("Days")  # in the inspector


async def commands(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("slash")
    await chat.until_shown("/rename")


async def sidebar(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("ctrl+b")
    await chat.until_shown("Why is the sky")


async def inspector(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("ctrl+o")
    await chat.until_shown("Last answer")


async def help_screen(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("f1")
    await chat.until_shown("Search for a key")


async def models(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("ctrl+t")
    await chat.until_shown("family parrot")


async def tools(chat: Chat) -> None:
    """A call that is done and unfolded, one that failed, a pinned question, and figures."""
    session = await keep_talk(chat.engine, "Notes on birds", "What do my notes say?")
    messages = chat.engine._store.messages
    [question] = await chat.engine.library.page(session.id, 0, 1)
    names = ("birds.md", "trees.md")
    calling = await messages.append(
        session.id,
        role=Role.ASSISTANT,
        content="Let me read them.",
        model="scripted:parrot",
        tool_calls=[
            ToolCall(id=name, name="read_file", arguments={"path": name}) for name in names
        ],
        usage=USAGE,
        created_at=FIRST_AT + 1,
    )
    read = await messages.insert(
        calling.id,
        role=Role.TOOL,
        content="The scrub jay hides acorns.",
        tool_call_id="birds.md",
        token_count=7,
        created_at=FIRST_AT + 2,
        finished_at=FIRST_AT + 2.25,
    )
    await messages.insert(
        read.id,
        role=Role.TOOL,
        content="There is no trees.md.",
        tool_call_id="trees.md",
        token_count=6,
        failure=Failure(kind="tool", message="There is no trees.md."),
        created_at=FIRST_AT + 2,
        finished_at=FIRST_AT + 3.5,
    )
    await messages.append(
        session.id,
        role=Role.ASSISTANT,
        content="They say that the **scrub jay** hides acorns.",
        model="scripted:parrot",
        usage=USAGE,
        created_at=FIRST_AT + 4,
    )
    await chat.engine.library.pin(question)
    await chat.open(session.id)
    await chat.until_shown("hides acorns")
    chat.transcript.focus()
    await chat.pilot.press("[", "[", "[", "space", "i")
    await chat.until_shown("412 read")


async def request(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("ctrl+o")
    await chat.until_shown("Last answer")
    await chat.pilot.press("5")
    await chat.until_shown("Not sent yet")


async def all_settings(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("f9")
    await chat.until_shown("Search for a name or a word")
    await chat.until_shown("system_prompt")


async def rename(chat: Chat) -> None:
    await reading(chat)
    await chat.pilot.press("f2")
    await chat.until_shown("Rename the conversation")


SCENES = (
    welcome,
    reading,
    answering,
    fetching,
    failed,
    commands,
    sidebar,
    inspector,
    help_screen,
    models,
    rename,
    tools,
    request,
    all_settings,
)
ON_THE_SMALLEST = (reading, inspector, models, all_settings)

CASES = [
    *((scene, size) for scene in SCENES for size in SIZES),
    *((scene, size) for scene in ON_THE_SMALLEST for size in SMALLEST),
]


@pytest.mark.parametrize(
    ("scene", "size"), [pytest.param(*case, id=f"{case[0].__name__}-{case[1]}") for case in CASES]
)
async def test_it_looks_as_it_did(
    scene: Callable[[Chat], Awaitable[None]],
    size: str,
    tmp_path: Path,
    snapshot: SnapshotAssertion,
) -> None:
    go_on = asyncio.Event()
    first: list[str | asyncio.Event | Exception] = [
        "Use `BufRead::lines`. It gives an iterator over the lines.",
        go_on,
    ]
    if scene is failed:
        first = [ModelError("unreachable", "Nothing answers at port 1.", "Start the server.")]
    cells = (SIZES | SMALLEST)[size]
    async with chatting(tmp_path, ScriptedBackend(first), size=cells) as chat:
        await chat.ready()
        await scene(chat)
        taken = await pictures(chat)
        go_on.set()
    assert_same(taken, snapshot)
