"""What is selected is what was written, wherever it has scrolled to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import MouseDown, MouseMove, MouseUp
from textual.geometry import Offset
from textual.selection import SELECT_ALL

from storage.records import Role
from tests.tui.transcript.conversations import (
    TranscriptApp,
    conversation,
    message,
    settled,
    streaming,
)
from tui.transcript import Transcript

if TYPE_CHECKING:
    import pytest
    from textual.pilot import Pilot

LONG = "The quick brown fox jumps over the lazy dog, again and again, until it is tired of it."


async def drag(pilot: Pilot[None], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press the mouse at one place, move it to another, let go."""
    await pilot.mouse_down(Transcript, offset=start)
    await pilot.hover(Transcript, offset=end)
    await pilot.mouse_up(Transcript, offset=end)
    await pilot.pause()


async def test_a_dragged_selection_joins_wrapped_lines_and_drops_bars_and_padding() -> None:
    app = TranscriptApp([message(0, Role.USER, LONG)])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (6, 1), (38, 3))
        selected = app.screen.get_selected_text()
        assert selected
        assert LONG.removeprefix("The ").startswith(selected.removesuffix(" "))
        assert len(selected) > 70


async def test_c_copies_the_selection() -> None:
    app = TranscriptApp([message(0, Role.USER, LONG)])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (6, 1), (10, 1))
        await pilot.press("c")
        assert app.clipboard == "quick"


async def test_a_selection_backwards_is_the_same() -> None:
    app = TranscriptApp([message(0, Role.USER, LONG)])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (10, 1), (6, 1))
        assert app.screen.get_selected_text() == "quick"


async def test_wide_characters_are_selected_whole() -> None:
    app = TranscriptApp([message(0, Role.USER, "汉字宽🎉度ok")])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (4, 1), (8, 1))
        assert app.screen.get_selected_text() == "字宽🎉"


async def test_a_selection_starting_on_the_bar_begins_the_line() -> None:
    app = TranscriptApp([message(0, Role.ASSISTANT, "> quoted text\n\nplain")])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (0, 1), (30, 3))
        assert app.screen.get_selected_text() == "quoted text\n\nplain"


async def test_the_selection_is_highlighted() -> None:
    app = TranscriptApp([message(0, Role.USER, LONG)])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (6, 1), (10, 1))
        colour = app.screen.get_component_rich_style("screen--selection").bgcolor
        marked = [
            segment.text
            for segment in app.transcript.render_line(1)
            if segment.style and segment.style.bgcolor == colour
        ]
        assert marked == ["quick"]


async def test_a_selection_stays_with_its_text_when_the_view_scrolls() -> None:
    app = TranscriptApp(conversation(100))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("pageup")
        await settled(pilot)
        await drag(pilot, (2, 5), (50, 12))
        before = app.screen.get_selected_text()
        assert before
        for _ in range(5):
            await pilot.press("pageup")
            await settled(pilot)
        assert app.screen.get_selected_text() == before


async def test_a_selection_can_span_what_has_scrolled_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.transcript.pages.KEPT", 3)
    monkeypatch.setattr("tui.transcript.layout.ROWS_KEPT", 50)
    app = TranscriptApp(conversation(200))
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.scroll_to_message(20)
        await settled(pilot)
        await pilot.mouse_down(Transcript, offset=(2, 1))
        await pilot.hover(Transcript, offset=(10, 2))
        for _ in range(100):
            app.transcript.action_page_down()
            await app.workers.wait_for_complete()
        await pilot.hover(Transcript, offset=(30, 10))
        await pilot.mouse_up(Transcript, offset=(30, 10))
        text = app.screen.get_selected_text()
        assert text
        last = app.transcript._layout.visible(app.top_row, 10)[1] - 1
        for n in range(20, last):
            assert (f"Answer {n}" if n % 2 else f"Question {n}") in text


async def test_selecting_all_does_not_lay_all_out() -> None:
    app = TranscriptApp(conversation(5_000))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        app.screen.selections = {app.transcript: SELECT_ALL}
        await pilot.pause()
        text = app.screen.get_selected_text()
        assert text
        assert "messages …]" in text
        assert text.rstrip().endswith("long enough to wrap.")
        assert len(app.transcript._layout._views) < 50


async def test_streaming_does_not_move_what_is_being_selected() -> None:
    app = TranscriptApp(conversation(20))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(20))
        await settled(pilot)
        await drag(pilot, (2, 5), (20, 6))
        before, selected = app.rows, app.screen.get_selected_text()
        app.transcript.feed(f"{20:032x}", "line\n\n" * 30)
        app.transcript._show_news()
        assert app.rows[:15] == before[:15]
        assert app.screen.get_selected_text() == selected
        await pilot.press("end")
        assert "line" in app.rows


async def test_two_clicks_select_a_word_and_three_a_line() -> None:
    app = TranscriptApp([message(0, Role.USER, LONG)])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await pilot.click(Transcript, offset=(8, 1), times=2)
        assert app.screen.get_selected_text() == "quick"
        await pilot.click(Transcript, offset=(8, 2), times=3)
        assert app.screen.get_selected_text() == LONG


async def test_a_click_elsewhere_ends_the_selection() -> None:
    app = TranscriptApp([message(0, Role.USER, LONG)])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await drag(pilot, (6, 1), (10, 1))
        await pilot.click(Transcript, offset=(3, 8))
        assert app.screen.get_selected_text() is None


async def test_a_link_is_opened_by_a_click() -> None:
    app = TranscriptApp([message(0, Role.ASSISTANT, "See [the page](https://a.org/p).")])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await pilot.click(Transcript, offset=(8, 1))
        await pilot.pause()
        (event,) = app.events
        assert isinstance(event, Transcript.LinkOpened)
        assert event.address == "https://a.org/p"


async def test_a_selection_that_ends_on_a_link_does_not_open_it() -> None:
    app = TranscriptApp([message(0, Role.ASSISTANT, "See [the page](https://a.org/p).")])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        # Not by the pilot, whose mouse makes no click out of a press and a release.
        for kind, x in ((MouseDown, 2), (MouseMove, 8), (MouseUp, 8)):
            app.post_message(kind(None, x, 1, 0, 0, 1, False, False, False, x, 1))
            await pilot.pause()
        assert app.screen.get_selected_text() == "See the"
        assert not app.events


async def test_escapes_never_reach_the_terminal() -> None:
    evil = "\x1b]52;c;AAAA\x07 \x9b31m \u202eabc [red]x[/red] [l](https://a.org/\x1b]8;;)"
    app = TranscriptApp([message(0, Role.USER, evil), message(1, Role.ASSISTANT, evil)])
    async with app.run_test(size=(80, 12)) as pilot:
        await settled(pilot)
        for y in range(12):
            for segment in app.transcript.render_line(y):
                assert all(char.isprintable() for char in segment.text)
                link = segment.style.link if segment.style else None
                assert link is None or link.isprintable()
        assert app.rows[1].startswith("␛]52;c;AAAA␇ ‹9B›31m ‹202E›abc [red]x[/red]")


async def test_offsets_name_rows_of_messages() -> None:
    app = TranscriptApp(conversation(30))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        _, offset = app.screen.get_widget_and_offset_at(5, 3)
        await pilot.press("up", "up")
        _, scrolled = app.screen.get_widget_and_offset_at(5, 5)
        assert isinstance(offset, Offset)
        assert offset == scrolled


# By keys


async def test_v_selects_lines_that_moving_extends_and_c_copies_them() -> None:
    app = TranscriptApp([message(0, Role.USER, "one\ntwo\nthree\nfour")])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await pilot.press("v", "j", "down")
        assert app.screen.get_selected_text() == "one\ntwo\nthree"
        await pilot.press("up")
        assert app.screen.get_selected_text() == "one\ntwo"
        await pilot.press("c")
        assert app.clipboard == "one\ntwo"
        assert app.screen.get_selected_text() is None
        before = app.top_row
        await pilot.press("down")
        assert app.screen.get_selected_text() is None
        assert app.top_row == before


async def test_a_selection_by_keys_goes_up_over_messages_and_scrolls_along() -> None:
    app = TranscriptApp(conversation(40))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        await pilot.press("v", *["pageup"] * 4)
        await settled(pilot)
        selected = app.screen.get_selected_text()
        assert selected
        assert len(selected.splitlines()) > 60
        first = selected.splitlines()[0]
        assert first in "\n".join(app.rows[:2])
        await pilot.press("escape")
        assert app.screen.get_selected_text() is None


async def test_the_end_of_the_conversation_ends_the_selection_too() -> None:
    app = TranscriptApp([message(0, Role.USER, "one\ntwo")])
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot)
        await pilot.press("v", *["pagedown"] * 3)
        selected = app.screen.get_selected_text()
        assert selected is not None
        assert selected.strip() == "one\ntwo"
