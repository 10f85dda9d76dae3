"""Setting what one conversation has of its own: by commands, and in a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from engine.parameters import Parameters, parameters_of
from tests.scripted import ScriptedBackend
from tests.tui.chatting import chatting
from tui.screens.parameters import ParametersScreen

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_set_before_the_first_question_holds_for_that_conversation_alone(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend()
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("/set temperature 0.3")
        await chat.until_shown("Here: temperature 0.3.")
        await chat.say("Hello")
        await chat.until(lambda: len(backend.requests) == 1)
        assert backend.requests[0].options.temperature == 0.3
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: chat.session_id is None)
        await chat.say("Hello again")
        await chat.until(lambda: len(backend.requests) == 2)
        assert backend.requests[1].options.temperature is None


async def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("/set temperature hot")
        await chat.until_shown("a number from 0 to 5")
        await chat.say("/set warmth 1")
        await chat.until_shown("There is no parameter 'warmth'")


async def test_the_dialog_shows_all_and_keeps_what_fits(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("Hello")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/set")
        await chat.until(lambda: isinstance(chat.app.screen, ParametersScreen))
        await chat.until_shown("This conversation's parameters")
        await chat.pilot.press(*"0.7", "down", *"2", "enter")
        await chat.until_shown("top_p can't be '2'")
        focused = chat.app.focused
        assert isinstance(focused, Input)
        assert focused.id == "top_p"
        await chat.pilot.press("backspace", *"0.9", "enter")
        await chat.until_shown("Here: temperature 0.7, top_p 0.9.")
        assert chat.session_id is not None
        session = await chat.engine.library.session(chat.session_id)
        assert parameters_of(session) == Parameters(temperature=0.7, top_p=0.9)


async def test_a_persona_is_chosen_by_name(tmp_path: Path) -> None:
    backend = ScriptedBackend()
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        folder = chat.engine.paths.config_dir / "personas"
        await chat.say("/persona")
        await chat.until_shown("No persona is written yet.")
        folder.mkdir(parents=True)
        (folder / "poet.md").write_text("You answer in verse.")
        await chat.say("/persona poem")
        await chat.until_shown("There is no persona 'poem'.")
        await chat.say("/persona poet")
        await chat.until_shown("Here: persona poet.")
        await chat.say("Hello")
        await chat.until(lambda: len(backend.requests) == 1)
        assert "You answer in verse." in backend.requests[0].messages[0].content
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/persona none")
        await chat.until_shown("As in the settings.")
