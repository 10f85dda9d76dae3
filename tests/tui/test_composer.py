"""Writing: what the keys do to the text, and what is sent."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from textual import events
from textual.app import App
from textual.widgets import Static

from tui.widgets.completions import Completions
from tui.widgets.composer import Composer
from tui.widgets.pastes import Pastes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.app import ComposeResult
    from textual.pilot import Pilot


class Page(App[None]):
    """A composer under something that fills the screen; prompts that were sent before it."""

    def __init__(self, *earlier: str, enter_sends: bool = True) -> None:
        super().__init__()
        self.earlier = earlier
        self.enter_sends = enter_sends
        self.sent: list[str] = []
        self.prefixes: list[str] = []
        self.names: list[str] = []

    def compose(self) -> ComposeResult:
        static = Static()
        static.styles.height = "1fr"
        yield static
        yield Completions()
        yield Composer(enter_sends=self.enter_sends)

    @property
    def offered(self) -> list[str]:
        """The rows over the composer, the chosen one marked."""
        completions = self.query_one(Completions)
        return str(completions.render()).split("\n") if completions.display else []

    def on_composer_submitted(self, message: Composer.Submitted) -> None:
        self.sent.append(message.text)

    def on_composer_history_wanted(self, message: Composer.HistoryWanted) -> None:
        self.prefixes.append(message.prefix)
        if fitting := [prompt for prompt in self.earlier if prompt.startswith(message.prefix)]:
            self.query_one(Composer).offer_history(fitting)

    def on_composer_files_wanted(self, message: Composer.FilesWanted) -> None:
        fitting = [name for name in self.names if message.typed in name]
        self.query_one(Composer).offer_files(message.typed, fitting)

    def on_composer_offered(self, message: Composer.Offered) -> None:
        self.query_one(Completions).show(message.offered, message.chosen)

    def on_completions_clicked(self, message: Completions.Clicked) -> None:
        self.query_one(Composer).take_offered(message.place)


@asynccontextmanager
async def writing(
    *earlier: str, enter_sends: bool = True
) -> AsyncIterator[tuple[Page, Composer, Pilot[None]]]:
    page = Page(*earlier, enter_sends=enter_sends)
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


async def test_the_cursor_stays_in_sight_when_there_is_room_for_no_more_rows() -> None:
    async with writing() as (page, composer, pilot):

        def is_seen() -> bool:
            row = composer.wrapped_document.location_to_offset(composer.cursor_location).y
            return composer.scroll_y <= row < composer.scroll_y + composer.size.height

        composer.put("\n" * 9)
        for _ in range(3):
            await pilot.press("ctrl+j")
            await pilot.pause()
            assert is_seen()
        await paste(page, pilot, LARGE)
        await pilot.press("tab")
        await pilot.pause()
        assert is_seen()


async def test_up_and_down_walk_through_earlier_prompts_and_back_to_the_draft() -> None:
    async with writing("first", "second") as (_, composer, pilot):
        await pilot.press("up")
        assert composer.text == "second"
        await pilot.press("up")
        assert composer.text == "first"
        await pilot.press("up")
        assert composer.text == "first"
        await pilot.press("down", "down")
        assert composer.text == ""
        await pilot.press("down")
        assert composer.text == ""


async def test_up_walks_only_through_prompts_that_begin_as_what_was_written() -> None:
    async with writing("find it", "find them", "lose it") as (page, composer, pilot):
        await pilot.press(*"find", "up")
        assert composer.text == "find them"
        await pilot.press("up", "up")
        assert composer.text == "find it"
        await pilot.press("down", "down")
        assert composer.text == "find"
        assert page.prefixes == ["find"]


async def test_up_inside_a_text_moves_the_cursor() -> None:
    async with writing("earlier") as (page, composer, pilot):
        composer.put("one\ntwo")
        await pilot.press("up")
        assert composer.text == "one\ntwo"
        assert composer.cursor_location[0] == 0
        assert page.prefixes == []


async def test_a_wrapped_first_line_is_walked_through_before_the_history() -> None:
    async with writing("earlier") as (page, composer, pilot):
        composer.put("word " * 30)
        await pilot.press("up", "up")
        assert page.prefixes == []
        await pilot.press("up")
        assert page.prefixes == ["word " * 30]


async def test_a_text_that_was_given_back_stands_before_what_was_written_since() -> None:
    async with writing() as (_, composer, pilot):
        await pilot.press(*"new")
        composer.give_back("old")
        assert composer.text == "old\nnew"


COMMANDS = [("/new", "Begin"), ("/next WORDS", "Go on"), ("/help", "Every key")]


async def test_a_slash_offers_the_commands_that_fit_and_tab_completes_one() -> None:
    async with writing() as (page, composer, pilot):
        composer.commands = COMMANDS
        await pilot.press("slash", "n")
        assert [row.split() for row in page.offered] == [
            ["›", "/new", "Begin"],
            ["/next", "WORDS", "Go", "on"],
        ]
        await pilot.press("down", "tab")
        assert composer.text == "/next "
        assert page.offered == []
        await pilot.press("x", "enter")
        assert page.sent == ["/next x"]


async def test_enter_takes_the_command_that_is_chosen_and_sends_it_if_it_is_whole() -> None:
    async with writing() as (page, composer, pilot):
        composer.commands = COMMANDS
        await pilot.press("slash", "h", "enter")
        assert page.sent == ["/help"]
        await pilot.press("slash", "n", "up", "enter")
        assert composer.text == "/next "
        assert page.sent == ["/help"]


async def test_escape_closes_the_list_and_the_text_stays() -> None:
    async with writing() as (page, composer, pilot):
        composer.commands = COMMANDS
        await pilot.press("slash", "n", "escape")
        assert page.offered == []
        assert composer.text == "/n"
        assert composer.has_focus


async def test_commands_that_have_no_row_come_into_view_as_they_are_chosen() -> None:
    async with writing() as (page, composer, pilot):
        composer.commands = [(f"/{letter}", "Do it") for letter in "abcdefghij"]
        await pilot.press("slash")
        assert [row.split()[0] for row in page.offered] == ["›", "/b", "/c", "/d", "/e", "/f", "1"]
        await pilot.press(*["down"] * 7)
        assert [row.split()[0] for row in page.offered] == ["/c", "/d", "/e", "/f", "/g", "›", "8"]
        await pilot.press("up", "down", "down")
        await pilot.click(Completions, offset=(5, 0))
        assert composer.text == "/d"


async def test_an_at_completes_files_and_goes_on_within_folders() -> None:
    async with writing() as (page, composer, pilot):
        page.names = ["src/", "src/jay.py", "my notes.md"]
        await pilot.press(*"see @sr")
        assert [row.split() for row in page.offered] == [["›", "src/"], ["src/jay.py"]]
        await pilot.press("tab")
        assert composer.text == "see @src/"
        await pilot.press("j", "enter")
        assert composer.text == "see @src/jay.py "
        await pilot.press(*"and @notes", "tab")
        assert composer.text == 'see @src/jay.py and @"my notes.md" '
        assert page.sent == []
        await pilot.press("enter")
        assert page.sent == ['see @src/jay.py and @"my notes.md" ']


async def test_names_that_come_too_late_are_not_offered() -> None:
    async with writing() as (page, composer, pilot):
        await pilot.press(*"@ja", "space")
        composer.offer_files("ja", ["jay.py"])
        await pilot.pause()
        assert page.offered == []


async def test_a_click_takes_what_is_offered() -> None:
    async with writing() as (_, composer, pilot):
        composer.commands = COMMANDS
        await pilot.press("slash", "n")
        await pilot.click(Completions, offset=(5, 1))
        assert composer.text == "/next "
        assert composer.has_focus


LARGE = "\n".join(f"line {number}" for number in range(40))


async def paste(page: Page, pilot: Pilot[None], text: str) -> None:
    page.post_message(events.Paste(text))
    await pilot.pause()


async def test_a_large_paste_is_a_label_and_is_sent_whole() -> None:
    async with writing() as (page, composer, pilot):
        await pilot.press(*"Read ")
        await paste(page, pilot, LARGE)
        await paste(page, pilot, "x" * 5_000)
        assert composer.text == "Read [Pasted 40 lines #1][Pasted 5,000 characters #1]"
        await pilot.press(*"!", "enter")
        assert page.sent == [f"Read {LARGE}{'x' * 5_000}!"]


async def test_tab_shows_a_paste_whole_and_backspace_takes_it_away() -> None:
    async with writing() as (page, composer, pilot):
        await paste(page, pilot, LARGE)
        await pilot.press("tab")
        assert composer.text == LARGE
        composer.put("")
        await paste(page, pilot, LARGE)
        await pilot.press("backspace")
        assert composer.text == ""
        await pilot.press("ctrl+z", "enter")
        assert page.sent == [LARGE]


async def test_a_newline_at_the_end_of_a_paste_is_no_line_more() -> None:
    async with writing() as (page, composer, pilot):
        await paste(page, pilot, f"{LARGE}\n")
        assert composer.text == "[Pasted 40 lines #1]"


async def test_two_pastes_of_one_size_are_told_apart() -> None:
    async with writing() as (page, _, pilot):
        await paste(page, pilot, LARGE)
        await paste(page, pilot, LARGE.upper())
        await pilot.press("enter")
        assert page.sent == [LARGE + LARGE.upper()]


async def test_a_label_that_somebody_writes_stands_for_itself() -> None:
    async with writing() as (page, composer, pilot):
        composer.put("[Pasted 40 lines #1]")
        await pilot.press("enter")
        assert page.sent == ["[Pasted 40 lines #1]"]


def test_only_pastes_whose_labels_are_left_are_kept() -> None:
    pastes = Pastes()
    label = pastes.shortened(LARGE)
    pastes.shortened("y" * 2_000)
    assert pastes.used_in(f"a {label} b") == {label: LARGE}


async def test_a_long_prompt_of_the_history_is_shown_as_a_label() -> None:
    async with writing(LARGE) as (page, composer, pilot):
        await pilot.press("up")
        assert composer.text == "[Pasted 40 lines #1]"
        await pilot.press("enter")
        assert page.sent == [LARGE]


async def test_enter_can_be_set_to_begin_a_line_and_then_ctrl_j_sends() -> None:
    async with writing(enter_sends=False) as (page, composer, pilot):
        await pilot.press("a", "enter", "b")
        assert composer.text == "a\nb"
        await pilot.press("ctrl+j")
        assert page.sent == ["a\nb"]


async def test_the_cursor_does_not_blink_for_that_is_a_timer_that_never_rests() -> None:
    async with writing() as (_, composer, _):
        assert not composer.cursor_blink
