"""What the reader looks at stays where it is, whatever becomes known or is said meanwhile."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.records import Failure, Finish, Message, Role
from tests.tui.transcript.conversations import (
    ANSWER,
    TranscriptApp,
    conversation,
    message,
    rows_of,
    settled,
    streaming,
)
from tui.transcript import Transcript
from tui.transcript.layout import Layout
from tui.transcript.pages import KEPT, PAGE, Pages

if TYPE_CHECKING:
    from textual.geometry import Region


async def test_a_session_opens_at_its_end() -> None:
    app = TranscriptApp(conversation(200))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert "which makes this line long" in " ".join(app.rows[-4:])
        assert app.top_row == app.transcript.max_scroll_y


async def test_opening_reads_only_the_newest_pages() -> None:
    app = TranscriptApp(conversation(1000))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert min(start for start, _ in app.loads) >= 1000 - 2 * PAGE


async def test_a_short_session_begins_at_the_top() -> None:
    app = TranscriptApp(conversation(1))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert app.rows[0].startswith("You")
        assert app.rows[1] == "Question 0"


async def test_an_empty_session_is_empty() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert not any(app.rows)
        await pilot.press("up", "end", "home", "c", "y", "o", "t", "space", "r", "[", "]", "pageup")
        app.transcript.append(message(0, Role.USER, "Hello"))
        await settled(pilot)
        assert app.rows[1] == "Hello"


async def test_scrolling_up_line_by_line_moves_everything_by_one_line() -> None:
    app = TranscriptApp(conversation(120))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        for _ in range(250):
            before = app.rows
            app.transcript.action_scroll_up()
            assert app.rows[1:] == before[:-1]
            await app.workers.wait_for_complete()
            assert app.rows[1:] == before[:-1]


async def test_scrolling_down_from_the_beginning_moves_everything_by_one_line() -> None:
    app = TranscriptApp(conversation(120))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("home")
        await settled(pilot)
        assert app.rows[0].startswith("You")
        for _ in range(250):
            before = app.rows
            app.transcript.action_scroll_down()
            await app.workers.wait_for_complete()
            assert app.rows[:-1] == before[1:]


async def test_every_row_of_a_conversation_is_passed_from_end_to_beginning() -> None:
    messages = conversation(90)
    app = TranscriptApp(messages)
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        seen = " ".join(app.rows)
        while app.top_row > 0:
            app.transcript.action_page_up()
            await settled(pilot)
            seen += " " + " ".join(app.rows)
        for n in range(90):
            assert (f"Answer {n}" if n % 2 else f"Question {n}") in seen


async def test_memory_keeps_only_some_pages() -> None:
    app = TranscriptApp(conversation(PAGE * (KEPT + 8)))
    async with app.run_test(size=(60, 20)) as pilot:
        for position in range(0, len(app.messages), PAGE):
            app.transcript.scroll_to_message(position)
            await settled(pilot)
        pages = app.transcript._layout.pages
        fetched = [n for n in range(len(app.messages)) if pages.is_fetched(n)]
        assert len(fetched) <= PAGE * KEPT
        assert rows_of(app.transcript)[1].startswith("Question")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    jumps=st.lists(st.integers(0, 299), min_size=1, max_size=5),
    offset=st.integers(-15, 15),
)
async def test_a_jump_shows_the_message_and_keeps_it_while_pages_come(
    jumps: list[int], offset: int
) -> None:
    app = TranscriptApp(conversation(300))
    async with app.run_test(size=(60, 20)) as pilot:
        for position in jumps:
            app.transcript.scroll_to_message(position)
            await settled(pilot)
            expected = f"Answer {position}" if position % 2 else f"Question {position}"
            if app.top_row < app.transcript.max_scroll_y:
                assert app.rows[1] == expected
            else:
                assert expected in app.rows
        app.transcript.scroll_to(y=app.top_row + offset, animate=False)
        before = app.rows
        await settled(pilot)
        known = [row for row in before if row != "…"]
        assert [row for row in app.rows if row in known][: len(known)]


async def test_what_streams_is_followed_at_the_end() -> None:
    app = TranscriptApp(conversation(50))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(50))
        for n in range(30):
            app.transcript.feed(f"{50:032x}", f"line {n}\n\n")
            await shown(app)
            assert f"line {n}" in app.rows
        assert not app.transcript.new_below


async def test_what_streams_does_not_move_who_reads_above() -> None:
    app = TranscriptApp(conversation(50))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        await pilot.press("pageup")
        before = app.rows
        app.transcript.append(streaming(50))
        for n in range(30):
            app.transcript.feed(f"{50:032x}", f"line {n}\n\n")
            await shown(app)
        assert app.rows[:-1] == before[:-1]
        assert app.transcript.new_below
        assert app.rows[-1].endswith("↓ new")
        await pilot.press("end")
        assert "line 29" in app.rows
        assert not app.transcript.new_below


async def test_there_is_no_marker_for_what_can_be_seen() -> None:
    app = TranscriptApp(conversation(50))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(50))
        app.transcript.scroll_to_message(50)
        app.transcript.feed(f"{50:032x}", "Seen.")
        await shown(app)
        assert "Seen." in app.rows
        assert not app.transcript.new_below
        app.transcript.feed(f"{50:032x}", "\n\nmore" * 30)
        await shown(app)
        assert "Seen." in app.rows
        assert app.transcript.new_below


async def test_the_marker_can_be_clicked() -> None:
    app = TranscriptApp(conversation(50))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        await pilot.press("pageup")
        app.transcript.append(message(50, Role.ASSISTANT, "The newest."))
        await settled(pilot)
        assert await pilot.click(Transcript, offset=(54, 19))
        assert "The newest." in app.rows


async def test_the_readers_own_message_goes_to_the_end() -> None:
    app = TranscriptApp(conversation(50))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        await pilot.press("home")
        await settled(pilot)
        app.transcript.append(message(50, Role.USER, "And now?"))
        assert "And now?" in app.rows


async def test_reading_inside_the_streaming_answer_is_not_disturbed() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(60, 12)) as pilot:
        app.transcript.append(streaming(0))
        app.transcript.feed(f"{0:032x}", thinking="thought\n" * 6)
        await shown(app)
        app.transcript.feed(f"{0:032x}", text="".join(f"line {n}\n\n" for n in range(30)))
        await shown(app)
        await pilot.press("pageup", "up", "up")
        before = app.rows
        app.transcript.feed(f"{0:032x}", text="more\n\n" * 10)
        await shown(app)
        assert app.rows[:-1] == before[:-1]
        done = message(
            0, Role.ASSISTANT, app.transcript.current.content if app.transcript.current else ""
        )
        app.transcript.replace(msgspec.structs.replace(done, thinking="thought\n" * 6))
        assert app.rows[:-1] == before[:-1]


async def test_thinking_is_shown_until_the_answer_begins() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(0))
        app.transcript.feed(f"{0:032x}", thinking="Let me see.\nAh.")
        await shown(app)
        assert app.rows[1:4] == ["▾ Thinking · 4 words", "┊ Let me see.", "┊ Ah."]
        app.transcript.feed(f"{0:032x}", text="Yes.")
        await shown(app)
        assert app.rows[1:3] == ["▸ Thought · 4 words", "Yes."]


async def test_a_folded_answer_that_streams_counts_what_it_hides() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(60, 16)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(0))
        app.transcript.feed(f"{0:032x}", "".join(f"line {n}\n" for n in range(10)))
        await shown(app)
        await pilot.press("space")
        app.transcript.feed(f"{0:032x}", "".join(f"line {n}\n" for n in range(10)))
        await shown(app)
        assert "⋯ 12 more lines · space" in app.rows


async def test_showing_thoughts_does_not_move_the_text_one_reads() -> None:
    text = "\n\n".join(f"line {n}" for n in range(40))
    answer = message(0, Role.ASSISTANT, text, thinking="thought\n" * 15)
    app = TranscriptApp([answer])
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot)
        await pilot.press("pageup", "pageup")
        before = app.rows
        await pilot.press("t")
        assert app.rows == before
        await pilot.press("t")
        assert app.rows == before


async def test_thoughts_that_go_on_do_not_move_the_text_one_reads() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(60, 12)) as pilot:
        app.transcript.append(streaming(0))
        app.transcript.feed(f"{0:032x}", "".join(f"line {n}\n\n" for n in range(40)), "thought\n")
        await shown(app)
        await pilot.press("t", "pageup")
        before = app.rows
        app.transcript.feed(f"{0:032x}", thinking="another\n" * 10)
        await shown(app)
        assert app.rows[:-1] == before[:-1]


async def shown(app: TranscriptApp) -> None:
    """Draw what has been fed, without waiting for the next frame."""
    app.transcript._show_news()


async def test_streaming_ends_in_the_rows_of_the_finished_answer() -> None:
    text = ANSWER.format(n=7) * 3
    app = TranscriptApp(conversation(3))
    async with app.run_test(size=(70, 60)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(3))
        for at in range(0, len(text), 5):
            app.transcript.feed(f"{3:032x}", text[at : at + 5])
            await shown(app)
        streamed = app.rows
        app.transcript.replace(message(3, Role.ASSISTANT, text))
        assert app.rows == streamed


@pytest.mark.parametrize("keys", [[], ["pageup"], ["up"], ["t"], ["space"]], ids=str)
@pytest.mark.parametrize("before", [0, 3, 30])
async def test_every_row_that_changes_is_painted_again(before: int, keys: list[str]) -> None:
    chooser = random.Random(before)
    app = TranscriptApp(conversation(before))
    async with app.run_test(size=(70, 24)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(before))
        message_id = f"{before:032x}"
        app.transcript.feed(message_id, thinking="Let me think.\n")
        await shown(app)
        await pilot.press(*keys)
        text, at = ANSWER.format(n=before) * 2, 0
        while at < len(text):
            size = chooser.randint(1, 60)
            old, painted = app.rows, painted_rows(app)
            app.transcript.feed(message_id, text[at : at + size], chooser.choice(["", "", " hm"]))
            app.transcript.set_status(message_id, chooser.choice(["", "busy", "busy still"]))
            await shown(app)
            changed = {y for y, row in enumerate(app.rows) if row != old[y]}
            assert changed <= painted
            at += size


def painted_rows(app: TranscriptApp) -> set[int]:
    """The rows that the transcript asks to be painted from now on."""
    rows: set[int] = set()
    transcript = app.transcript
    refresh = type(transcript).refresh

    def noting(*regions: Region, **how: bool) -> Transcript:
        for region in regions or (transcript.size.region,):
            rows.update(region.line_range)
        return refresh(transcript, *regions, **how)

    transcript.refresh = noting  # type: ignore[method-assign]
    return rows


async def test_a_burst_of_words_is_drawn_once_and_leaves_no_timer() -> None:
    app = TranscriptApp(conversation(3))
    async with app.run_test(size=(70, 30)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(3))
        app.transcript.feed(f"{3:032x}", "first")
        assert "first" in app.rows
        for n in range(500):
            app.transcript.feed(f"{3:032x}", f" word{n}")
        assert not any("word499" in row for row in app.rows)
        while app.transcript._timer is not None:
            await pilot.pause(0.01)
        assert "word499" in " ".join(app.rows)
        assert app.transcript._timer is None


async def test_the_status_line_comes_and_goes() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot)
        app.transcript.append(streaming(0))
        app.transcript.set_status(f"{0:032x}", "reading the prompt 43 %")
        await shown(app)
        assert app.rows[1] == "reading the prompt 43 %"
        app.transcript.set_status(f"{0:032x}", "")
        app.transcript.feed(f"{0:032x}", "Hello")
        await shown(app)
        assert app.rows[1] == "Hello"
        assert not any("prompt" in row for row in app.rows)


async def test_a_delta_for_an_unknown_message_is_ignored() -> None:
    app = TranscriptApp(conversation(3))
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot)
        before = app.rows
        app.transcript.feed("f" * 32, "text")
        app.transcript.set_status("f" * 32, "text")
        assert app.rows == before


async def test_a_retried_answer_takes_the_place_of_the_failed_one() -> None:
    failure = Failure(kind="unreachable", message="The server is gone.", next_step="Start it.")
    failed = message(1, Role.ASSISTANT, "Par", finish=Finish.FAILED, failure=failure)
    app = TranscriptApp([message(0, Role.USER, "Why?"), failed])
    async with app.run_test(size=(60, 14)) as pilot:
        await settled(pilot)
        for text in ("Par", "✖ The server is gone.", "Start it.", "press r to retry"):
            assert text in app.rows
        retried = msgspec.structs.replace(streaming(1), id="a" * 32)
        app.transcript.replace(retried)
        app.transcript.feed("a" * 32, "Because.")
        await shown(app)
        assert "Because." in app.rows
        assert not any("gone" in row for row in app.rows)


@pytest.mark.parametrize(
    ("finish", "text"),
    [
        (Finish.STOPPED, "◼ stopped"),
        (Finish.INTERRUPTED, "◼ interrupted · press r to retry"),
    ],
)
async def test_an_answer_says_how_it_ended(finish: Finish, text: str) -> None:
    app = TranscriptApp([message(0, Role.ASSISTANT, "Some", finish=finish)])
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot)
        assert text in app.rows


async def test_above_a_message_that_is_gone_to_near_the_end_everything_is_laid_out() -> None:
    app = TranscriptApp(conversation(4))
    pages = Pages(4, app.load)
    await pages.fetch(0, 0)
    layout = Layout(pages, 60)
    top = layout.settle(0, 30, held=(3, 0))
    first, last = layout.visible(top, 30)
    assert first < 3
    assert all(layout.view(position) for position in range(first, last))


async def test_a_place_in_a_long_message_stays_in_sight_at_another_width() -> None:
    text = "\n".join("Words, words, and more words than there is room for. " * 4 for _ in range(30))
    app = TranscriptApp([*conversation(4), message(4, Role.USER, f"{text}\nneedle\n{text}")])
    async with app.run_test(size=(40, 40)) as pilot:
        app.transcript.show_hit(4, ["needle"])
        await settled(pilot)
        assert "needle" in app.rows
        await pilot.resize_terminal(100, 40)
        await settled(pilot)
        assert "needle" in app.rows


async def test_a_new_width_lays_everything_out_again_around_the_same_message() -> None:
    app = TranscriptApp(conversation(100))
    async with app.run_test(size=(100, 30)) as pilot:
        app.transcript.scroll_to_message(41)
        await settled(pilot)
        assert app.rows[1] == "Answer 41"
        await pilot.resize_terminal(50, 20)
        await settled(pilot)
        assert app.rows[1] == "Answer 41"
        assert all(len(row) <= 48 for row in app.rows)


async def test_a_new_width_keeps_the_place_inside_a_message() -> None:
    tall = [message(n, Role.ASSISTANT, "word " * 600) for n in range(10)]
    app = TranscriptApp([*tall, *conversation(100)[10:]])
    async with app.run_test(size=(100, 12)) as pilot:
        app.transcript.scroll_to_message(0)
        while not any("file-41" in row for row in app.rows[:4]):
            app.transcript.action_scroll_down()
            await app.workers.wait_for_complete()
        for width in (50, 70, 100):
            await pilot.resize_terminal(width, 12)
            await settled(pilot)
            assert "file-41" in " ".join(app.rows)


async def test_at_the_end_a_new_size_stays_at_the_end() -> None:
    app = TranscriptApp(conversation(100))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        for size in ((50, 20), (120, 40), (60, 16)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert app.top_row == app.transcript.max_scroll_y
            assert "long enough to wrap" in " ".join(app.rows[-4:]).replace("  ", " ")


async def test_colours_follow_the_theme() -> None:
    app = TranscriptApp(conversation(10))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.theme = "textual-dark"
        await pilot.pause()
        dark = [segment.style for segment in app.transcript.render_line(5)]
        app.theme = "textual-light"
        await pilot.pause()
        light = [segment.style for segment in app.transcript.render_line(5)]
        assert dark != light
        app.theme = "textual-dark"
        await pilot.pause()
        assert [segment.style for segment in app.transcript.render_line(5)] == dark


async def test_messages_that_cannot_be_read_are_asked_for_again() -> None:
    app = TranscriptApp(conversation(200))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        working = app.transcript._layout.pages._load
        # A store can't be made to fail for one page only, so this stands in for it.

        async def broken(start: int, stop: int) -> list[Message]:
            raise OSError("disk gone")

        app.transcript._layout.pages._load = broken
        app.transcript.scroll_to_message(20)
        await settled(pilot)
        assert isinstance(app.events[-1], Transcript.LoadFailed)
        app.transcript._layout.pages._load = working
        await pilot.press("down")
        await settled(pilot)
        assert "Question 20" in app.rows


async def test_opening_another_session_forgets_the_first() -> None:
    app = TranscriptApp(conversation(100))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        await pilot.press("home")
        app.messages = [message(0, Role.USER, "Another session")]
        await app.transcript.open(1, app.load)
        await settled(pilot)
        assert app.rows[1] == "Another session"
        assert not any("Question" in row for row in app.rows)
        app.transcript.clear()
        assert not any(app.rows)


async def test_of_two_sessions_opened_at_once_the_later_is_shown() -> None:
    app = TranscriptApp([])
    async with app.run_test(size=(60, 12)) as pilot:
        first_may_come = asyncio.Event()

        async def slow(start: int, stop: int) -> list[Message]:
            await first_may_come.wait()
            return [message(0, Role.USER, "The first")]

        async def quick(start: int, stop: int) -> list[Message]:
            return [message(0, Role.USER, "The second")]

        first = asyncio.create_task(app.transcript.open(1, slow))
        await asyncio.sleep(0)
        await app.transcript.open(1, quick)
        first_may_come.set()
        await first
        await settled(pilot)
        assert app.rows[1] == "The second"
