"""The Memory tab: what is remembered, by kind, and every key that does something with it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from textual.widgets import Input, Static, TextArea

from tests.scripted import ScriptedBackend
from tests.tui.chatting import Chat, chatting, keep_talk
from tui.screens.memory_choice import ChoiceScreen
from tui.screens.memory_edit import MemoryScreen
from tui.screens.memory_forget import ForgetScreen
from tui.widgets.inspector import Inspector
from tui.widgets.memory_filter import MemoryFilter
from tui.widgets.memory_panel import MORE, PAGE, MemoryPanel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import pytest

    from engine.engine import Engine
    from engine.memory.memories import Kept

WIDE = (200, 60)


@asynccontextmanager
async def remembering(
    folder: Path,
    fill: Callable[[Engine], Awaitable[Any]],
    backend: ScriptedBackend | None = None,
) -> AsyncIterator[tuple[Chat, Any]]:
    """The app with the Memory tab in use, over memories; what `fill` gives is given, too."""
    async with chatting(folder, backend, size=WIDE) as chat:
        await chat.ready()
        filled = await fill(chat.engine)
        await chat.until(lambda: chat.screen.query("Inspector > #tokens"))
        inspector = chat.screen.query_one(Inspector)
        inspector.tab = "Memory"
        await chat.until(lambda: inspector.query(MemoryPanel))
        inspector.focus_panel()
        await chat.until_shown("Skills")
        yield chat, filled


async def ask(chat: Chat, text: str) -> None:
    """Ask, from wherever the keyboard is."""
    chat.composer.focus()
    await chat.until(lambda: chat.composer.has_focus)
    await chat.say(text)


def panel_of(chat: Chat) -> MemoryPanel:
    return chat.screen.query_one(MemoryPanel)


async def on(chat: Chat, kept: Kept) -> None:
    """Put the cursor on a memory."""
    await chat.until(lambda: panel_of(chat).region_of(kept.id) is not None)
    panel_of(chat).move_to(kept.id)


def offered(chat: Chat) -> dict[str, str]:
    """The keys that the footer tells, and what it says of them."""
    return {
        active.binding.key: active.binding.description
        for active in chat.app.screen.active_bindings.values()
        if active.binding.show and active.enabled
    }


async def one_fact(engine: Engine) -> Kept:
    return await engine.memory.remember("The user likes green tea.", name="tea")


async def told_fact(engine: Engine) -> Kept:
    """A fact with one source."""
    talk = await keep_talk(engine, "Tea", "Which is best?", "Oolong.", "I like green tea.")
    [source] = await engine.library.page(talk.id, 2, 3)
    await engine._store.facts.add("tea", "The user likes green tea.", source_ids=[source.id])
    return (await engine.memory.search(kinds=["fact"]))[0]


async def nothing(engine: Engine) -> None:
    pass


async def test_empty_sections_say_how_to_fill_them_and_n_does(tmp_path: Path) -> None:
    async with remembering(tmp_path, nothing) as (chat, _):
        for text in ("Facts  0", "Episodes  0", "Skills  0", "/remember with a", "/skill NAME"):
            await chat.until_shown(text)
        await chat.pilot.press("n")
        await chat.until(lambda: isinstance(chat.app.screen, MemoryScreen))
        await chat.pilot.press("enter")
        await chat.until_shown("Nothing is written yet.")
        await chat.pilot.press(*"The user likes tea.", "enter")
        await chat.until_shown("Facts  1")


async def test_each_kind_is_told_with_its_count_and_followed(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> None:
        await one_fact(engine)
        await engine.memory.remember("We compared teas.", kind="episode")
        await engine.memory.remember("Warm the pot.", kind="skill", name="brewing")

    async with remembering(tmp_path, fill) as (chat, _):
        for text in ("Facts  1", "Episodes  1", "Skills  1", "We compared teas.", "brewing"):
            await chat.until_shown(text)
        await chat.engine.memory.remember("The user owns a kettle.", name="kettle")
        await chat.until_shown("Facts  2")
        await chat.until_shown("The user owns a kettle.")


async def test_only_what_is_looked_at_is_read_however_much_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(engine: Engine) -> None:
        async with engine._store.facts.batch() as batch:
            for number in range(10_000):
                batch.add(f"thing {number}", f"The user owns thing {number}.")

    limits: list[int] = []
    async with remembering(tmp_path, fill) as (chat, _):
        await chat.until_shown("Facts  10,000")
        panel = panel_of(chat)
        assert len(panel._kept["fact"]) == PAGE + 1
        await chat.until_shown(f"… {10_000 - PAGE:,} more")
        search = chat.engine.memory.search

        async def counted(*words: str, **named: Any) -> list[Kept]:
            limits.append(named["limit"])
            return await search(*words, **named)

        monkeypatch.setattr(chat.engine.memory, "search", counted)
        panel.move_to("more fact")
        await chat.until(lambda: offered(chat).get("enter") == "Show more")
        await chat.pilot.press("enter")
        await chat.until(lambda: len(panel._kept["fact"]) == PAGE + MORE + 1)
        assert limits == [PAGE + MORE + 1, PAGE + 1, PAGE + 1]
        await chat.until(lambda: panel.cursor == panel._kept["fact"][PAGE].id)
        await chat.until(lambda: panel.region_of("more fact") is not None)


async def test_enter_leads_to_where_it_was_learnt(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> list[Kept]:
        first = await keep_talk(engine, "First", "Tea?", "Which?", "Green tea, please.")
        second = await keep_talk(engine, "Second", "Green tea again.", "Here.")
        ids = [
            (await engine.library.page(first.id, 2, 3))[0].id,
            (await engine.library.page(second.id, 0, 1))[0].id,
        ]
        await engine._store.facts.add("tea", "The user drinks tea.", source_ids=ids[:1])
        await engine._store.facts.add("habit", "The user drinks it often.", source_ids=ids)
        await engine.memory.remember("We drank.", kind="episode", session_id=second.id)
        await engine.memory.remember("The user told this.", name="by hand")
        by_hand, several, one = await engine.memory.search(kinds=["fact"])
        return [one, several, *await engine.memory.search(kinds=["episode"]), by_hand]

    async with remembering(tmp_path, fill) as (chat, (one, several, episode, by_hand)):
        panel = panel_of(chat)
        first, second = (
            source.session_id for source in await chat.engine.memory.sources(several.id)
        )
        await on(chat, by_hand)
        await chat.until(lambda: "e" in offered(chat))
        assert "enter" not in offered(chat)
        await on(chat, one)
        await chat.until(lambda: offered(chat).get("enter") == "Source")
        await chat.pilot.press("enter")
        await chat.until_shown("Green tea, please.")
        assert chat.session_id == first
        await chat.until(lambda: chat.transcript.has_focus)
        panel.focus()
        await on(chat, episode)
        await chat.pilot.press("enter")
        await chat.until(lambda: chat.session_id == second)
        await chat.until(lambda: chat.composer.has_focus)
        panel.focus()
        await on(chat, several)
        await chat.pilot.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, ChoiceScreen))
        await chat.until_shown("It was learnt from")
        await chat.pilot.press("enter")
        await chat.until(lambda: chat.session_id == first)


async def test_space_unfolds_a_memory(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> Kept:
        return await engine.memory.remember("Warm the pot. " * 20, kind="skill", name="brewing")

    async with remembering(tmp_path, fill) as (chat, kept):
        await on(chat, kept)
        await chat.until(lambda: offered(chat).get("space") == "Details")
        folded = panel_of(chat).region_of(kept.id)
        await chat.pilot.press("space")
        await chat.until_shown("told by hand")
        unfolded = panel_of(chat).region_of(kept.id)
        assert folded is not None
        assert unfolded is not None
        assert unfolded.height > folded.height
        await chat.pilot.press("space")
        await chat.until(lambda: panel_of(chat).region_of(kept.id) == folded)


async def test_e_edits_and_h_shows_what_it_said_before(tmp_path: Path) -> None:
    async with remembering(tmp_path, one_fact) as (chat, kept):
        await on(chat, kept)
        await chat.pilot.press("h")
        await chat.until_shown("It has said nothing else before.")
        await chat.pilot.press("e")
        await chat.until(lambda: isinstance(chat.app.screen, MemoryScreen))
        await chat.pilot.press("ctrl+j", *"Daily.")
        assert chat.app.screen.query_one(TextArea).text == f"{kept.text}\nDaily."
        await chat.pilot.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.pilot.press("e")
        await chat.until(lambda: isinstance(chat.app.screen, MemoryScreen))
        editor = chat.app.screen.query_one(TextArea)
        await chat.until(lambda: editor.has_focus)
        assert editor.text == kept.text
        await chat.pilot.press(*" Daily.", "enter")
        await chat.until_shown("Kept as it reads now.")
        await chat.until_shown("The user likes green tea. Daily.")
        [now] = await chat.engine.memory.search(kinds=["fact"])
        await on(chat, now)
        await chat.pilot.press("h")
        await chat.until_shown("┊ The user likes green tea.")
        await chat.pilot.press("h")
        await chat.until(lambda: "┊" not in chat.text)


async def test_p_pins_and_lets_go(tmp_path: Path) -> None:
    async with remembering(tmp_path, one_fact) as (chat, kept):
        await on(chat, kept)
        await chat.until(lambda: offered(chat).get("p") == "Pin")
        await chat.pilot.press("p")
        await chat.until_shown("pinned · tea")
        await chat.until(lambda: offered(chat).get("p") == "Unpin")
        await chat.pilot.press("p")
        await chat.until(lambda: "pinned" not in chat.text)
        assert not (await chat.engine.memory.search(kinds=["fact"]))[0].pinned


async def test_d_and_delete_forget_when_that_is_meant(tmp_path: Path) -> None:
    async with remembering(tmp_path, one_fact) as (chat, kept):
        await on(chat, kept)
        await chat.pilot.press("delete")
        await chat.until(lambda: isinstance(chat.app.screen, ForgetScreen))
        await chat.pilot.press("n")
        await chat.until(lambda: chat.app.screen is chat.screen)
        assert await chat.engine.memory.get(kept.id) is not None
        await chat.pilot.press("d")
        await chat.until(lambda: isinstance(chat.app.screen, ForgetScreen))
        await chat.pilot.press("y")
        await chat.until_shown("Forgot: “The user likes green tea.”")
        await chat.until_shown("Facts  0")


async def test_a_forgets_everywhere(tmp_path: Path) -> None:
    async with remembering(tmp_path, told_fact) as (chat, kept):
        [source] = await chat.engine.memory.sources(kept.id)
        await on(chat, kept)
        await chat.pilot.press("d")
        await chat.until(lambda: isinstance(chat.app.screen, ForgetScreen))
        await chat.until_shown("strike it out of every message")
        await chat.pilot.press("a")
        await chat.until_shown("Forgot:")
        await chat.until_shown("Facts  0")
        message = await chat.engine._store.messages.get(source.id)
        assert message is not None
        assert "green tea" not in message.content


async def test_a_slash_searches_as_one_types(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> None:
        for thing in ("kettle", "teapot", "samovar"):
            await engine.memory.remember(f"The user owns a {thing}.", name=thing)

    async with remembering(tmp_path, fill) as (chat, _):
        panel = panel_of(chat)
        await chat.until_shown("Facts  3")
        await chat.pilot.press("slash")
        await chat.until(lambda: isinstance(chat.app.focused, MemoryFilter))
        await chat.pilot.press(*"kettle")
        await chat.until_shown("Facts  1 found")
        await chat.until(lambda: "samovar" not in chat.text)
        assert "Skills  nothing fits" in chat.text
        assert "Memory in use" not in chat.text
        await chat.pilot.press("enter")
        await chat.until(lambda: panel.has_focus)
        await chat.until(lambda: offered(chat).get("escape") == "Show all")
        await chat.pilot.press("slash")
        await chat.until(lambda: isinstance(chat.app.focused, MemoryFilter))
        await chat.pilot.press("escape")
        await chat.until_shown("samovar")
        await chat.until(lambda: panel.has_focus)
        assert not chat.screen.query(MemoryFilter)
        await chat.pilot.press("slash", *"zebra")
        await chat.until_shown("Facts  nothing fits")
        inspector = chat.screen.query_one(Inspector)
        inspector.tab = "Tokens"
        await chat.until(lambda: not chat.screen.query(MemoryFilter))
        inspector.tab = "Memory"
        await chat.until_shown("Facts  3")


async def test_what_was_recalled_says_why_and_can_be_changed(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> Kept:
        await keep_talk(engine, "Peru", "The capital of Peru is Lima.", "So it is.")
        return await engine.memory.remember("Anna knows the capital of Peru.", name="Anna")

    async with remembering(tmp_path, fill) as (chat, kept):
        await ask(chat, "What is the capital of Peru?")
        await chat.until_shown("Recalled  for this turn")
        panel = panel_of(chat)
        panel.focus()
        packed = panel.packed
        assert packed is not None
        [message, *_] = [one for one in packed.recollections if one.kind == "message"]
        panel.move_to(f"recalled {message.message_id}")
        await chat.until(lambda: offered(chat).get("space") == "Why")
        assert "e" not in offered(chat)
        await chat.pilot.press("space")
        for reason in message.reasons:
            await chat.until_shown(f"{reason.share:>4.0%}")
        panel.move_to(f"recalled {kept.id}")
        await chat.until(lambda: offered(chat).get("p") == "Pin")
        await chat.pilot.press("p")
        await chat.until(lambda: offered(chat).get("p") == "Unpin")


async def test_r_lets_a_conversation_do_without_memories_for_good(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> None:
        await keep_talk(engine, "Peru", "The capital of Peru is Lima.", "So it is.")

    question = "What is the capital of Peru?"
    backend = ScriptedBackend()
    async with remembering(tmp_path, fill, backend) as (chat, _):
        assert offered(chat)["r"] == "Recall off"
        await chat.pilot.press("r")
        await chat.until_shown("Recall is off in this conversation.")
        await chat.until_shown("recall off")
        await chat.until(lambda: offered(chat)["r"] == "Recall on")
        await ask(chat, question)
        await chat.until(lambda: len(backend.requests) == 1)
        assert "Lima" not in str(backend.requests[0].messages)
        await chat.until(lambda: not chat.screen.conversation.answering)
        session_id = chat.session_id
        assert session_id is not None
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: chat.session_id is None)
        await chat.until(lambda: "recall off" not in chat.text)
    async with chatting(tmp_path, backend, size=WIDE) as chat:
        await chat.ready()
        chat.screen.open(session_id)
        await chat.until_shown("recall off")
        await ask(chat, question)
        await chat.until(lambda: len(backend.requests) == 2)
        assert "Lima" not in str(backend.requests[1].messages)
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/recall on")
        await chat.until(lambda: "recall off" not in chat.text)
        await ask(chat, question)
        await chat.until(lambda: len(backend.requests) == 3)
        assert "Lima" in str(backend.requests[2].messages)
        await chat.until(lambda: not chat.screen.conversation.answering)


class TestCommands:
    async def test_what_is_remembered_can_be_undone(self, tmp_path: Path) -> None:
        async with chatting(tmp_path) as chat:
            await chat.ready()
            await chat.say("/remember The user likes green tea.")
            await chat.until_shown("/undo")
            [kept] = await chat.engine.memory.search()
            assert "green tea" in kept.text
            await chat.say("/undo")
            await chat.until_shown("Forgot:")
            assert await chat.engine.memory.search() == []

    async def test_what_is_known_or_gives_way_is_said_and_not_undone(self, tmp_path: Path) -> None:
        async with chatting(tmp_path) as chat:
            await chat.ready()
            await chat.engine.memory.remember("I live in Lima.")
            await chat.say("/remember I live in Lima.")
            await chat.until_shown("Known already:")
            await chat.say("/remember I live in Cusco.")
            await chat.until_shown("Instead of")
            await chat.say("/undo")
            await chat.until_shown("Nothing was deleted in this run.")
            assert len(await chat.engine.memory.search()) == 1

    async def test_what_fits_is_asked_about_before_it_is_forgotten(self, tmp_path: Path) -> None:
        async with chatting(tmp_path) as chat:
            await chat.ready()
            await one_fact(chat.engine)
            await chat.engine.memory.remember("The user bought green tea.", name="shopping")
            await chat.say("/forget zebra")
            await chat.until_shown("“zebra”")
            await chat.say("/forget bought")
            await chat.until(lambda: isinstance(chat.app.screen, ForgetScreen))
            await chat.pilot.press("escape")
            await chat.until(lambda: chat.app.screen is chat.screen)
            assert len(await chat.engine.memory.search()) == 2
            await chat.say("/forget green tea")
            await chat.until(lambda: isinstance(chat.app.screen, ChoiceScreen))
            await chat.pilot.press("enter")
            await chat.until(lambda: isinstance(chat.app.screen, ForgetScreen))
            await chat.pilot.press("y")
            await chat.until_shown("Forgot:")
            assert len(await chat.engine.memory.search()) == 1

    async def test_a_skill_is_taught_at_once_or_in_a_dialog(self, tmp_path: Path) -> None:
        async with chatting(tmp_path) as chat:
            await chat.ready()
            await chat.say("/skill brewing: Warm the pot first.")
            await chat.until_shown("Remembered: “Warm the pot first.”")
            await chat.say("/skill")
            await chat.until(lambda: isinstance(chat.app.screen, MemoryScreen))
            screen = chat.app.screen
            await chat.until(lambda: screen.query_one(Input).has_focus)
            await chat.pilot.press(*"toast", "enter")
            await chat.until(lambda: screen.query_one(TextArea).has_focus)
            await chat.pilot.press("enter")
            trouble = screen.query_one("#trouble", Static)
            await chat.until(lambda: trouble.display)
            await chat.pilot.press(*"Golden.", "enter")
            await chat.until_shown("Remembered: “Golden.”")
            skills = {kept.name: kept.text for kept in await chat.engine.memory.search()}
            assert skills == {"brewing": "Warm the pot first.", "toast": "Golden."}

    async def test_what_recall_does_not_know_is_said(self, tmp_path: Path) -> None:
        async with chatting(tmp_path) as chat:
            await chat.ready()
            await chat.say("/recall perhaps")
            await chat.until_shown("/recall on, or /recall off.")
            await chat.say("/recall")
            await chat.until_shown("Nothing is brought back from memory")
            await chat.say("/recall")
            await chat.until_shown("This conversation remembers again.")
