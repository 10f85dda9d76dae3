"""Pictures of the Memory tab and its dialogs, at three sizes, dark and light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui.chatting import Chat, chatting, keep_talk
from tests.tui.picturing import SIZES, assert_same, pictures, stop_the_clock
from tui.widgets.inspector import Inspector
from tui.widgets.memory_panel import MemoryPanel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from tui.widgets.rows import Row


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_the_clock(monkeypatch)
    # What differs from machine to machine stays out of the picture.
    monkeypatch.setattr(MemoryPanel, "_stored", nothing)
    monkeypatch.setattr(MemoryPanel, "_used", nothing)


def nothing(_panel: MemoryPanel, _width: int) -> Iterator[Row]:
    yield from ()


async def fill(chat: Chat) -> None:
    talk = await keep_talk(
        chat.engine,
        "Moving to Lima",
        "The flat in Lima is near the park Kennedy, on the fourth floor.",
        "That sounds lively.",
    )
    [said] = await chat.engine.library.page(talk.id, 0, 1)
    memory = chat.engine.memory
    store = chat.engine._store
    for number in range(15):
        await store.facts.add(f"box {number}", f"Box {number} holds books about gardens.")
    job = await store.facts.add(
        "job", "The user plans gardens for schools.", source_ids=[said.id], confidence=0.8
    )
    before = await store.facts.add("home", "The user lives in Berlin.", source_ids=[said.id])
    home = await memory.edit(before.id, "The user lives in Lima.")
    await memory.pin(home.id, True)
    await memory.remember("We compared three districts.", kind="episode", session_id=talk.id)
    await memory.remember("Warm the pot, then brew.", kind="skill", name="green tea")
    await chat.say("Where in Lima is the flat?")
    await chat.until(lambda: chat.screen.conversation.last is not None)
    await chat.until(lambda: not chat.screen.conversation.answering)
    await chat.engine.memory.wait()
    chat.screen.action_toggle_inspector()
    await chat.until(lambda: chat.screen.query("Inspector > #tokens"))
    inspector = chat.screen.query_one(Inspector)
    inspector.tab = "Memory"
    await chat.until(lambda: inspector.query(MemoryPanel))
    inspector.focus_panel()
    panel = inspector.query_one(MemoryPanel)
    await chat.until(lambda: panel.region_of(home.id) is not None)
    for key in (job.id, home.id):
        panel.move_to(key)
    await chat.pilot.press("h")
    await chat.until(lambda: panel._histories.get(home.id))
    assert panel.packed is not None
    panel.move_to(f"recalled {panel.packed.recollections[0].memory_id or said.id}")
    await chat.pilot.press("space")
    panel.scroll_home(animate=False)


@pytest.mark.parametrize("size", SIZES)
async def test_the_tab_looks_as_it_did(
    size: str, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    async with chatting(tmp_path, size=SIZES[size]) as chat:
        await chat.ready()
        await fill(chat)
        taken = await pictures(chat)
    assert_same(taken, snapshot)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["e", "d"])
async def test_the_dialogs_look_as_they_did(
    key: str, size: str, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    async with chatting(tmp_path, size=SIZES[size]) as chat:
        await chat.ready()
        await fill(chat)
        panel = chat.screen.query_one(MemoryPanel)
        [job] = await chat.engine.memory.search("schools", kinds=["fact"], limit=1)
        panel.move_to(job.id)
        await chat.pilot.press(key)
        await chat.until(lambda: chat.app.screen is not chat.screen)
        taken = await pictures(chat)
    assert_same(taken, snapshot)
