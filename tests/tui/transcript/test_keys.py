"""Every key of the transcript does what its help says."""

from __future__ import annotations

import pytest

from storage.records import Finish, Message, Role
from tests.tui.transcript.conversations import TranscriptApp, conversation, message, settled
from tui.transcript import Transcript

ODD = message(
    1,
    Role.ASSISTANT,
    "See [a](https://a.org) and [b](https://b.org).\n\n"
    "```python\nprint(1)\n```\n\n```\nplain\n```\n",
    thinking="First this.\nThen that.",
)


@pytest.mark.parametrize(
    ("there", "back", "rows"),
    [("up", "down", 1), ("k", "j", 1), ("pageup", "pagedown", 18)],
)
async def test_lines_and_pages(there: str, back: str, rows: int) -> None:
    app = TranscriptApp(conversation(50))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        before = app.rows
        await pilot.press(there)
        assert app.rows[rows:] == before[:-rows]
        await pilot.press(back)
        assert app.rows == before


@pytest.mark.parametrize(("home", "end"), [("home", "end"), ("g", "G")])
async def test_beginning_and_end(home: str, end: str) -> None:
    app = TranscriptApp(conversation(500))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        newest = app.rows
        await pilot.press(home)
        await settled(pilot)
        assert app.rows[1] == "Question 0"
        await pilot.press(end)
        await settled(pilot)
        assert app.rows == newest


@pytest.mark.parametrize(("back", "ahead"), [("alt+up", "alt+down"), ("[", "]")])
async def test_from_message_to_message(back: str, ahead: str) -> None:
    app = TranscriptApp(conversation(60))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        visited = []
        for _ in range(50):
            await pilot.press(back)
            await app.workers.wait_for_complete()
            assert app.transcript.current is not None
            visited.append(app.transcript.current.position)
        assert visited == list(range(59, 9, -1))
        for _ in range(3):
            await pilot.press(ahead)
        assert app.transcript.current is not None
        assert app.transcript.current.position == 13


async def test_the_cursor_shows_while_the_transcript_has_the_focus() -> None:
    app = TranscriptApp(conversation(60))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        await pilot.press("[", "[")
        assert app.transcript.current is not None
        assert thick_bars(app)
        app.set_focus(None)
        await pilot.pause()
        assert not thick_bars(app)


def thick_bars(app: TranscriptApp) -> list[str]:
    strips = [app.transcript.render_line(y).text for y in range(20)]
    return [text for text in strips if text.startswith("┃")]


async def test_c_copies_the_message_as_it_was_written() -> None:
    app = TranscriptApp([message(0, Role.USER, "Q"), ODD])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        await pilot.press("c")
        assert app.clipboard == ODD.content
        await pilot.press("[", "[", "c")
        assert app.clipboard == "Q"
        assert [event.what for event in app.events if isinstance(event, Transcript.Copied)] == [
            "message",
            "message",
        ]


async def test_y_copies_the_blocks_of_code_in_turn() -> None:
    app = TranscriptApp([ODD])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        copied = []
        for _ in range(3):
            await pilot.press("y")
            copied.append(app.clipboard)
        assert copied == ["print(1)", "plain", "print(1)"]
        await pilot.pause()
        assert [event.what for event in app.events if isinstance(event, Transcript.Copied)] == [
            "python code, block 1 of 2",
            "code, block 2 of 2",
            "python code, block 1 of 2",
        ]


async def test_o_lists_links_and_opens_a_single_one() -> None:
    app = TranscriptApp([message(0, Role.USER, "https://only.org"), ODD])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        await pilot.press("o", "[", "[", "o")
        await pilot.pause()
        listed, opened = app.events
        assert isinstance(listed, Transcript.LinksListed)
        assert listed.links == [("a", "https://a.org"), ("b", "https://b.org")]
        assert isinstance(opened, Transcript.LinkOpened)
        assert opened.address == "https://only.org"


async def test_what_is_not_in_the_current_message_is_not_offered() -> None:
    def offered(app: TranscriptApp) -> set[str]:
        return {"y", "o", "t"} & {key for key, one in app.screen.active_bindings.items()}

    app = TranscriptApp([message(0, Role.USER, "nothing"), ODD])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert offered(app) == {"y", "o", "t"}
        await pilot.press("[", "[")
        assert offered(app) == set()
        await pilot.press("y", "o", "t")
        assert not app.events


async def test_scrolling_offers_what_the_message_in_sight_has() -> None:
    told = []
    app = TranscriptApp([ODD, *(message(at, Role.USER, "nothing") for at in range(1, 40))])
    async with app.run_test(size=(60, 10)) as pilot:
        await settled(pilot)
        app.screen.bindings_updated_signal.subscribe(
            app, lambda screen: told.append("y" in screen.active_bindings)
        )
        await pilot.press("home")
        await pilot.pause()
        assert told[-1]


async def test_t_shows_and_hides_what_was_thought() -> None:
    app = TranscriptApp([ODD])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert app.rows[1] == "▸ Thought · 4 words"
        assert "Then that." not in " ".join(app.rows)
        await pilot.press("t")
        assert app.rows[1:4] == ["▾ Thought · 4 words", "┊ First this.", "┊ Then that."]
        await pilot.press("t")
        assert app.rows[1] == "▸ Thought · 4 words"


async def test_a_click_on_its_title_shows_what_was_thought() -> None:
    app = TranscriptApp([ODD])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        await pilot.click(Transcript, offset=(5, 1))
        assert app.rows[2] == "┊ First this."


async def test_space_folds_and_unfolds() -> None:
    text = "\n".join(f"row {n}" for n in range(100))
    app = TranscriptApp([message(0, Role.USER, text)])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert app.rows[8] == "row 7"
        assert app.rows[9] == "⋯ 92 more lines · space"
        await pilot.press("space")
        assert app.transcript.virtual_size.height == 102
        await pilot.press("space")
        assert app.rows[9] == "⋯ 92 more lines · space"


@pytest.mark.parametrize("finish", [Finish.FAILED, Finish.STOPPED, Finish.INTERRUPTED])
async def test_r_asks_for_the_answer_again(finish: Finish) -> None:
    answer = message(1, Role.ASSISTANT, "Par", finish=finish)
    app = TranscriptApp([message(0, Role.USER, "Q"), answer])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        await pilot.press("r")
        await pilot.pause()
        (event,) = app.events
        assert isinstance(event, Transcript.RetryRequested)
        assert event.message == answer


async def test_r_is_not_offered_for_a_complete_answer() -> None:
    app = TranscriptApp(conversation(2))
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        assert "r" not in app.screen.active_bindings
        await pilot.press("r")
        await pilot.pause()
        assert not app.events


async def test_r_is_offered_for_the_last_answer_alone() -> None:
    broken_off = message(1, Role.ASSISTANT, "Par", finish=Finish.STOPPED)
    more = [message(2, Role.USER, "Q"), message(3, Role.ASSISTANT, "A")]
    app = TranscriptApp([message(0, Role.USER, "Q"), broken_off, *more])
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot)
        app.transcript.scroll_to_message(1)
        await pilot.pause()
        assert app.transcript.current == broken_off
        assert "r" not in app.screen.active_bindings
        await pilot.press("r")
        await pilot.pause()
        assert not app.events


async def test_finding_goes_from_match_to_match_through_the_whole_conversation() -> None:
    app = TranscriptApp(conversation(300))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        assert (await app.transcript.find("QUESTION 1")).messages == 5 + 50
        places = []
        await pilot.press("G")
        for _ in range(4):
            await pilot.press("N")
            await settled(pilot)
            assert app.transcript.current is not None
            places.append(app.transcript.current.position)
            assert any("Question 1" in row for row in app.rows)
        assert places == [198, 198, 198, 196]
        await pilot.press("n")
        await settled(pilot)
        assert app.transcript.current is not None
        assert app.transcript.current.position == 198
        assert await app.transcript.find("") == (0, 0)


async def test_finding_counts_every_match() -> None:
    thought = message(2, Role.ASSISTANT, "A Jay, a jay.", thinking="A jay?")
    app = TranscriptApp([message(0, Role.USER, "Jay!"), message(1, Role.USER, "Crow"), thought])
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        assert await app.transcript.find("jay") == (4, 2)


async def test_finding_opens_what_hides_the_match() -> None:
    app = TranscriptApp([ODD, message(1, Role.USER, "row\n" * 100 + "needle")])
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        for hidden in ("Then that", "needle"):
            assert await app.transcript.find(hidden) == (1, 1)
            await pilot.press("n")
            await settled(pilot)
            assert any(hidden in row for row in app.rows)


async def test_finding_what_cannot_be_read_says_so() -> None:
    app = TranscriptApp(conversation(300))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        assert await app.transcript.find('"file-7"') == (1, 1)
        # A store can't be made to fail for one page only, so this stands in for it.

        async def broken(start: int, stop: int) -> list[Message]:
            raise OSError("disk gone")

        app.transcript._layout.pages._load = broken
        await pilot.press("N")
        await pilot.pause()
        assert isinstance(app.events[-1], Transcript.LoadFailed)


async def test_every_key_has_help() -> None:
    for binding in Transcript.BINDINGS:
        assert getattr(binding, "description", "")


async def test_from_question_to_question() -> None:
    app = TranscriptApp(conversation(300))
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        visited = []
        for _ in range(40):
            await pilot.press("left_curly_bracket")
            await app.workers.wait_for_complete()
            assert app.transcript.current is not None
            visited.append(app.transcript.current.position)
        assert visited == list(range(298, 218, -2))
        await pilot.press("right_curly_bracket")
        await app.workers.wait_for_complete()
        assert app.transcript.current is not None
        assert app.transcript.current.position == 222


async def test_from_code_to_code() -> None:
    plain = message(0, Role.USER, "No code here.\n" * 30)
    last = message(3, Role.ASSISTANT, "```js\nlast()\n```\n" + "And words.\n\n" * 30)
    app = TranscriptApp([plain, ODD, message(2, Role.USER, "Words.\n" * 30), last])
    async with app.run_test(size=(60, 20)) as pilot:
        await settled(pilot)
        for key, code in (
            ("left_parenthesis", "last()"),
            ("left_parenthesis", "plain"),
            ("left_parenthesis", "print(1)"),
            ("left_parenthesis", "print(1)"),
            ("right_parenthesis", "plain"),
            ("right_parenthesis", "last()"),
            ("right_parenthesis", "last()"),
        ):
            await pilot.press(key)
            await app.workers.wait_for_complete()
            await settled(pilot)
            assert code in "\n".join(app.rows[:4]), (key, code, app.rows)
