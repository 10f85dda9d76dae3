"""Writing: what the keys do to the text, and what is sent."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from textual import events
from textual.app import App
from textual.widgets import Static

from tui.widgets.composer import Composer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.app import ComposeResult
    from textual.pilot import Pilot


class Page(App[None]):
    """A composer under something that fills the screen; prompts that were sent before it."""

    def __init__(self, *earlier: str) -> None:
        super().__init__()
        self.earlier = earlier
        self.sent: list[str] = []
        self.asked_for_history = 0

    def compose(self) -> ComposeResult:
        static = Static()
        static.styles.height = "1fr"
        yield static
        yield Composer()

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        self.sent.append(message.text)

    def on_composer_history_wanted(self) -> None:
        self.asked_for_history += 1
        if self.earlier:
            self.query_one(Composer).offer_history(self.earlier)


@asynccontextmanager
async def writing(*earlier: str) -> AsyncIterator[tuple[Page, Composer, Pilot[None]]]:
    page = Page(*earlier)
    async with page.run_test(size=(60, 30)) as pilot:
        composer = page.query_one(Composer)
        composer.focus()
        await pilot.pause()
        yield page, composer, pilot


async def test_enter_sends_the_text_and_leaves_an_empty_composer() -> None:
    async with writing() as (page, composer, pilot):
        await pilot.press(*"Hi!", "enter")
        assert page.sent == ["Hi!"]
        assert composer.text == ""


async def test_nothing_is_sent_when_nothing_but_blanks_was_written() -> None:
    async with writing() as (page, composer, pilot):
        await pilot.press("space", "enter")
        assert page.sent == []
        assert composer.text == " "


async def test_enter_does_not_overtake_what_was_typed_just_before() -> None:
    async with writing() as (page, _, pilot):
        for key in ("O", "k", "enter"):  # all at once, as a terminal delivers a burst
            page.post_message(events.Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        assert page.sent == ["Ok"]


async def test_each_newline_key_begins_a_line_and_sends_nothing() -> None:
    async with writing() as (page, composer, pilot):
        await pilot.press("a", "ctrl+j", "b", "shift+enter", "c", "alt+enter", "d")
        assert composer.text == "a\nb\nc\nd"
        assert page.sent == []


async def test_a_newline_replaces_what_is_selected() -> None:
    async with writing() as (_, composer, pilot):
        composer.put("abcd")
        await pilot.press("shift+left", "shift+left", "ctrl+j", "x")
        assert composer.text == "ab\nx"


async def test_line_ends_of_other_systems_are_pasted_as_plain_ones() -> None:
    async with writing() as (page, composer, pilot):
        page.post_message(events.Paste("one\r\ntwo\rthree"))
        await pilot.pause()
        assert composer.text == "one\ntwo\nthree"


async def test_it_grows_with_its_text_up_to_a_third_of_the_screen() -> None:
    async with writing() as (_, composer, pilot):
        assert composer.size.height == 1
        composer.put("1\n2\n3")
        await pilot.pause()
        assert composer.size.height == 3
        composer.put("\n" * 40)
        await pilot.pause()
        assert 9 <= composer.outer_size.height <= 10


async def test_up_and_down_walk_through_earlier_prompts_and_back_to_the_draft() -> None:
    async with writing("first", "second") as (_, composer, pilot):
        await pilot.press(*"draft")
        await pilot.press("up")
        assert composer.text == "second"
        await pilot.press("up")
        assert composer.text == "first"
        await pilot.press("up")
        assert composer.text == "first"
        await pilot.press("down", "down")
        assert composer.text == "draft"
        await pilot.press("down")
        assert composer.text == "draft"


async def test_up_inside_a_text_moves_the_cursor() -> None:
    async with writing("earlier") as (page, composer, pilot):
        composer.put("one\ntwo")
        await pilot.press("up")
        assert composer.text == "one\ntwo"
        assert composer.cursor_location[0] == 0
        assert page.asked_for_history == 0


async def test_a_wrapped_first_line_is_walked_through_before_the_history() -> None:
    async with writing("earlier") as (_, composer, pilot):
        composer.put("word " * 30)
        await pilot.press("up")
        assert composer.text.startswith("word")
        await pilot.press("up", "up")
        assert composer.text == "earlier"


async def test_a_text_that_was_given_back_stands_before_what_was_written_since() -> None:
    async with writing() as (_, composer, pilot):
        await pilot.press(*"new")
        composer.give_back("old")
        assert composer.text == "old\nnew"


async def test_a_slash_shows_the_commands_that_fit_and_tab_completes_one() -> None:
    async with writing() as (_, composer, pilot):
        composer.commands = [("/new", "Begin"), ("/next", "Go on"), ("/help", "Every key")]
        await pilot.press("slash", "n")
        assert "/new" in str(composer.border_subtitle)
        assert "/help" not in str(composer.border_subtitle)
        await pilot.press("e", "x")
        assert "Go on" in str(composer.border_subtitle)
        await pilot.press("tab")
        assert composer.text == "/next "
        await pilot.press("x")
        assert not composer.border_subtitle


async def test_the_cursor_does_not_blink_for_that_is_a_timer_that_never_rests() -> None:
    async with writing() as (_, composer, _):
        assert not composer.cursor_blink
