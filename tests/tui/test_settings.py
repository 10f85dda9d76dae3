"""The settings screen, and what is kept of what is chosen elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from engine.config import load_settings
from tests.tui.chatting import Chat, chatting
from tui.screens.settings import SettingsScreen

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from engine.config import Settings


def kept(chat: Chat) -> Settings:
    return load_settings(chat.engine.paths.settings_file, {})


async def opened(chat: Chat, words: str) -> None:
    await chat.ready()
    await chat.pilot.press("f9")
    await chat.until(lambda: isinstance(chat.app.screen, SettingsScreen))
    chat.app.screen.query_one("#search", Input).value = words
    await chat.until_shown(words.split()[-1])
    await chat.still()


async def test_a_switch_is_kept_and_holds_at_once(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat, "ui sidebar")
        assert chat.screen.query_one("#sidebar").has_class("-shown")
        await chat.until_shown("Holds at once")
        await chat.pilot.press("enter")
        await chat.until(lambda: not chat.screen.query_one("#sidebar").has_class("-shown"))
        assert kept(chat).ui.sidebar is False
        await chat.pilot.press("f8")
        await chat.until(lambda: chat.screen.query_one("#sidebar").has_class("-shown"))
        assert "sidebar" not in chat.engine.paths.settings_file.read_text()


async def test_a_value_is_written_checked_and_kept(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat, "model temperature")
        await chat.until_shown("From 0, which always says the likeliest")
        await chat.pilot.press("enter", "9", "enter")
        await chat.until_shown("temperature must be a number from 0 to 5")
        assert not chat.engine.paths.settings_file.exists()
        await chat.pilot.press("backspace", *"0.3", "enter")
        await chat.until(lambda: chat.engine.settings.model.temperature == 0.3)
        await chat.until_shown("● temperature           0.3")
        assert kept(chat).model.temperature == 0.3
        await chat.pilot.press("enter", "1", "escape")
        await chat.until_shown("escape closes")
        assert kept(chat).model.temperature == 0.3
        await chat.pilot.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)


async def test_one_of_few_values_gives_way_to_the_next(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat, "what enter does")
        await chat.until_shown("Holds from the next start on")
        await chat.pilot.press("enter")
        await chat.until_shown("newline")
        assert kept(chat).ui.enter == "newline"


async def test_what_the_environment_overrides_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRUBJAY_MEMORY_LIMIT", "4")
    async with chatting(tmp_path) as chat:
        await opened(chat, "memory limit")
        await chat.until_shown("SCRUBJAY_MEMORY_LIMIT in the environment goes before it")


async def test_a_file_that_can_t_be_written_into_is_told(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat, "ui sidebar")
        file = chat.engine.paths.settings_file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("[ui\n")
        await chat.pilot.press("enter")
        await chat.until_shown("is not valid TOML")
        assert chat.engine.settings.ui.sidebar
        assert file.read_text() == "[ui\n"


async def test_a_search_that_finds_nothing_says_so_and_changes_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("/settings no such thing")
        await chat.until_shown("Nothing has that in it.")
        await chat.pilot.press("enter", "f8")
        assert isinstance(chat.app.screen, SettingsScreen)


async def test_a_theme_that_is_chosen_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        file = chat.engine.paths.settings_file
        assert not file.exists()
        await chat.say("/theme nord")
        await chat.until(file.exists)
        await chat.until(lambda: chat.engine.settings.ui.theme == "nord")
        chosen = chat.engine.settings
        assert kept(chat).ui.theme == "nord"
    async with chatting(tmp_path, chosen=chosen) as chat:
        assert chat.app.theme == "nord"


async def test_recall_that_is_turned_off_is_off_for_the_next_question(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await opened(chat, "memory recall whether")
        await chat.pilot.press("enter")
        await chat.until(lambda: not chat.engine.settings.memory.recall)
        assert not chat.engine._workshop.settings.memory.recall
        assert not chat.screen._recalls
