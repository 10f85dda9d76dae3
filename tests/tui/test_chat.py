"""The whole screen with a scripted model: asking, stopping, queueing, and what is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.events import Paste

from engine.context.tokens import count_text
from engine.library import Draft
from engine.llm.base import Chunk, ModelError
from storage.errors import DiskFullError
from storage.records import Finish
from tests.scripted import ScriptedBackend
from tests.tui.chatting import Chat, chatting, keep_talk
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (80, 24)


async def test_a_question_begins_a_session_and_its_answer_is_shown_and_kept(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, ScriptedBackend(["The capital is ", "**Lima**."])) as chat:
        await chat.ready()
        assert chat.session_id is None
        await chat.say("What is the capital of Peru?")
        await chat.until_shown("The capital is Lima.")
        await chat.until(lambda: not chat.screen.conversation.answering)
        question, answer = await chat.messages()
        assert question.content == "What is the capital of Peru?"
        assert answer.content == "The capital is **Lima**."
        assert answer.finish is Finish.COMPLETE
        assert "What is the capital of Peru?" in chat.text.splitlines()[0]


async def test_two_questions_in_a_hurry_begin_one_session(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["one"], ["two"])) as chat:
        await chat.ready()
        for text in ("a", "b"):  # the second before the first is on the disk
            chat.composer.put(text)
            chat.composer.action_send()
        await chat.until_shown("two")
        assert [m.content for m in await chat.messages()] == ["a", "one", "b", "two"]
        assert len(await chat.engine.library.sessions()) == 1


async def test_a_question_that_could_not_be_kept_goes_back_into_the_composer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()

        # A stand-in: a disk can't be filled on demand.
        async def full(*_: object) -> None:
            raise DiskFullError("The disk is full.", "Make room on it.")

        monkeypatch.setattr(chat.engine, "send", full)
        await chat.say("Precious words")
        await chat.until_shown("Make room on it.")
        assert chat.composer.text == "Precious words"


async def test_escape_stops_the_answer_and_ctrl_r_gives_another(tmp_path: Path) -> None:
    never = asyncio.Event()
    backend = ScriptedBackend(["Once upon", never], ["A better answer"])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("Tell a story")
        await chat.until_shown("Once upon")
        assert "esc Stop" in chat.text
        await chat.pilot.press("escape")
        await chat.until_shown("◼ stopped")
        await chat.until(lambda: "esc Stop" not in chat.text)
        assert (await chat.messages())[-1].content == "Once upon"
        await chat.pilot.press("ctrl+r")
        await chat.until_shown("A better answer")
        assert "Once upon" not in chat.text


async def test_a_failed_answer_shows_the_next_step_and_r_tries_again(tmp_path: Path) -> None:
    gone = ModelError("unreachable", "Nothing answers at port 1.", "Start the server.")
    async with chatting(tmp_path, ScriptedBackend([gone], ["Here I am"])) as chat:
        await chat.ready()
        await chat.say("Are you there?")
        await chat.until_shown("Nothing answers at port 1.")
        await chat.until_shown("Start the server.")
        await chat.until_shown("failed · ctrl+r answers again")
        chat.transcript.focus()
        await chat.pilot.press("r")
        await chat.until_shown("Here I am")


async def test_a_message_sent_while_an_answer_comes_waits_in_line(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with chatting(tmp_path, ScriptedBackend(["First", go_on], ["Second"])) as chat:
        await chat.ready()
        await chat.say("one")
        await chat.until_shown("First")
        await chat.say("two")
        await chat.until_shown("queued")
        go_on.set()
        await chat.until_shown("Second")
        await chat.until(lambda: "queued" not in chat.text)


async def test_it_says_how_much_of_the_prompt_has_been_read(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    backend = ScriptedBackend([Chunk(read=0.4), go_on, "Done reading"])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("A long text")
        await chat.until_shown("reading the prompt 40%")
        go_on.set()
        await chat.until_shown("Done reading")
        assert "reading the prompt" not in chat.text


async def test_a_session_that_is_left_while_its_answer_comes_shows_all_of_it_on_return(
    tmp_path: Path,
) -> None:
    go_on, end = asyncio.Event(), asyncio.Event()
    backend = ScriptedBackend(["Begin. ", go_on, "Middle. ", end, "End."])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("Talk")
        await chat.until_shown("Begin.")
        first = chat.session_id
        assert first is not None
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: chat.session_id is None)
        assert "Begin." not in chat.text
        go_on.set()
        turn = chat.engine.turn(first)
        assert turn is not None
        await chat.until(lambda: "Middle" in turn.so_far.content)
        chat.screen.open(first)
        await chat.until_shown("Begin. Middle.")
        end.set()
        await chat.until_shown("Begin. Middle. End.")


async def test_an_opened_session_shows_its_end_and_a_search_hit_its_place(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await chat.ready()
        texts = [f"text number {n}" for n in range(100)]
        session = await keep_talk(chat.engine, "A long talk", *texts)
        chat.screen.open(session.id)
        await chat.until_shown("text number 99")
        assert chat.app.focused is chat.composer
        chat.screen.open(session.id, 40)
        await chat.until_shown("text number 40")
        assert "text number 99" not in chat.text


async def test_up_brings_back_what_was_asked_in_any_session(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await keep_talk(chat.engine, "Other", "find the other", "no")
        session = await keep_talk(chat.engine, "Mine", "find it", "a", "newest", "b")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        await chat.pilot.press("up")
        await chat.until(lambda: chat.composer.text == "newest")
        await chat.pilot.press("up")
        assert chat.composer.text == "find it"
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: chat.session_id is None)
        await chat.pilot.press(*"find the", "up")
        await chat.until(lambda: chat.composer.text == "find the other")


async def test_pages_of_the_conversation_are_turned_while_one_writes(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await chat.ready()
        texts = [f"text number {n}" for n in range(60)]
        session = await keep_talk(chat.engine, "A long talk", *texts)
        await chat.open(session.id)
        await chat.pilot.press("a", "pageup", "pageup", "b")
        await chat.until(lambda: "text number 59" not in chat.text)
        assert (chat.app.focused, chat.composer.text) == (chat.composer, "ab")
        await chat.pilot.press("pagedown", "pagedown")
        await chat.until_shown("text number 59")
        chat.composer.put("row\n" * 40)
        await chat.pilot.press("pageup")
        assert chat.composer.cursor_location[0] < 40
        assert "text number 59" in chat.text


async def test_tab_leads_from_writing_to_reading_then_through_the_panes_and_back(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=(200, 60)) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "A talk", "Question", "Answer")
        await chat.open(session.id)
        passed = []
        for _ in range(5):
            await chat.pilot.press("tab")
            assert chat.app.focused
            passed.append(chat.app.focused)
        assert passed[0] is chat.transcript
        assert chat.screen.query_one("#inspector") in passed[1].ancestors
        assert chat.screen.query_one("#sidebar") in passed[2].ancestors
        assert passed[4] is chat.composer


# Files


async def test_a_file_is_completed_and_its_text_goes_with_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "acorns.md").write_text("Cached under the oak.")
    monkeypatch.chdir(work)
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press(*"Sum up @ac")
        await chat.until_shown("› acorns.md")
        await chat.pilot.press("tab", "enter")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
        [question, _] = await chat.messages()
        assert question.content == (
            "Sum up @acorns.md \n\n`acorns.md`:\n\n```md\nCached under the oak.\n```"
        )


async def test_a_file_that_can_not_be_attached_is_named_and_the_question_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jay.png").write_bytes(b"\x89PNG\0")
    monkeypatch.chdir(tmp_path)
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("What is on @jay.png")
        await chat.until_shown("jay.png is neither text nor an image")
        assert chat.composer.text == "What is on @jay.png"
        assert chat.session_id is None


async def test_the_tokens_of_what_is_written_are_told(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        chat.composer.put("acorn " * 100)
        await chat.until_shown(f"~{count_text(chat.composer.text)} tokens")
        chat.composer.put("acorn")
        await chat.until(lambda: "tokens" not in str(chat.composer.border_subtitle))
        chat.composer.put("acorn " * 100)
        await chat.until(lambda: chat.screen.conversation._count_timer)
        chat.composer.put("acorn")
        await chat.until(lambda: not chat.screen.conversation._count_timer)
        await chat.still()
        assert not chat.composer.border_subtitle


# Drafts


async def test_each_session_has_its_own_draft(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        one = await keep_talk(chat.engine, "One", "a", "b")
        two = await keep_talk(chat.engine, "Two", "c", "d")
        chat.screen.open(one.id)
        await chat.until(lambda: chat.session_id == one.id)
        chat.composer.put("unsent in one")
        chat.screen.open(two.id)
        await chat.until(lambda: chat.session_id == two.id)
        assert chat.composer.text == ""
        chat.screen.open(one.id)
        await chat.until(lambda: chat.composer.text == "unsent in one")


async def test_a_draft_survives_quitting(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "One", "a", "b")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        await chat.pilot.press(*"unsent")
    async with chatting(tmp_path) as chat:
        await chat.ready()
        chat.screen.open(session.id)
        await chat.until(lambda: chat.composer.text == "unsent")


async def test_what_was_to_begin_a_conversation_survives_quitting_pastes_and_all(
    tmp_path: Path,
) -> None:
    large = "acorn\n" * 50
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press(*"Read ")
        chat.app.post_message(Paste(large))
        await chat.until_shown("[Pasted 50 lines #1]")
    async with chatting(tmp_path) as chat:
        await chat.until(lambda: chat.composer.text == "Read [Pasted 50 lines #1]")
        assert chat.composer.message == f"Read {large}"
        await chat.ready()
        await chat.pilot.press("enter")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
    async with chatting(tmp_path) as chat:
        await chat.ready()
        assert chat.composer.text == ""


async def test_what_was_sent_is_no_draft_any_more(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("sent")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
        session_id = chat.session_id
        assert session_id is not None
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: chat.session_id is None)
        session = await chat.engine.library.session(session_id)
        assert await chat.engine.library.draft(session) == Draft()


async def test_the_model_is_got_ready_once_when_somebody_begins_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        warmed = []

        # A stand-in: only the real embedded model has anything to get ready.
        async def warm() -> None:
            warmed.append(True)

        monkeypatch.setattr(chat.engine.models, "warm", warm)
        await chat.pilot.press(*"hello")
        await chat.until(lambda: warmed)
        assert warmed == [True]


# Commands


async def test_a_session_is_renamed_by_a_command(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("hello")
        await chat.until(lambda: chat.session_id is not None)
        await chat.say("/rename [b]Birds[/b] of Peru")
        await chat.until(lambda: "[b]Birds[/b] of Peru" in chat.text.splitlines()[0])


async def test_who_deletes_what_is_shown_in_the_list_stays_there_and_can_undo_it(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "A talk", "a", "b")
        await chat.open(session.id)
        await chat.pilot.press("ctrl+b", "d")
        await chat.until(lambda: chat.session_id is None)
        await chat.until_shown("undo delete of “A talk”")
        await chat.pilot.press("u")
        await chat.until(lambda: "undo delete" not in chat.text and "A talk" in chat.text)
        assert chat.composer.text == ""


async def test_f2_asks_for_the_title(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "Old title", "a", "b")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        await chat.pilot.press("f2")
        await chat.until_shown("Rename the conversation")
        await chat.pilot.press("home", *"New: ", "enter")
        await chat.until_shown("New: Old title")
        assert (await chat.engine.library.session(session.id)).title == "New: Old title"


async def test_a_deleted_session_is_brought_back_by_undo(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "Keep me", "a", "b")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        await chat.say("/delete")
        await chat.until(lambda: chat.session_id is None)
        assert await chat.engine.library.sessions() == []
        await chat.say("/undo")
        await chat.until(lambda: chat.session_id == session.id)


async def test_deleting_a_session_ends_its_answer_and_those_in_line(tmp_path: Path) -> None:
    backend = ScriptedBackend(["First", asyncio.Event()])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say("one")
        await chat.until_shown("First")
        await chat.say("two")
        await chat.until_shown("queued")
        session_id = chat.session_id
        assert session_id is not None
        await chat.say("/delete")
        await chat.until(lambda: chat.session_id is None)
        assert chat.engine.turns(session_id) == ()
        assert len(backend.requests) == 1


@pytest.mark.parametrize("text", ["/usr/bin is what?", " /new"])
async def test_a_path_or_a_slash_behind_a_blank_is_sent_to_the_model(
    tmp_path: Path, text: str
) -> None:
    backend = ScriptedBackend(["An answer"])
    async with chatting(tmp_path, backend) as chat:
        await chat.ready()
        await chat.say(text)
        await chat.until_shown("An answer")
        assert backend.requests[0].messages[-1].content == text


async def test_an_unknown_command_is_neither_sent_nor_lost(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("/frobnicate now")
        await chat.until_shown("There is no command /frobnicate.")
        assert chat.composer.text == "/frobnicate now"
        assert chat.session_id is None


async def test_the_palette_lists_the_commands_with_their_keys(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press("ctrl+p")
        await chat.until_shown("Rename the conversation")
        await chat.pilot.press(*"new conv")
        await chat.until_shown("(ctrl+n, /new)")


@pytest.mark.parametrize("key", ["f1", "f8", "f9", "ctrl+t"])
async def test_over_a_dialog_there_is_no_palette(tmp_path: Path, key: str) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press(key)
        await chat.until(lambda: chat.app.screen is not chat.screen)
        dialog = chat.app.screen
        await chat.pilot.press("ctrl+p")
        await chat.pilot.pause()
        assert chat.app.screen is dialog


async def test_the_palette_does_what_keys_do_in_the_panes_that_are_shown(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "A talk", "Question", "Answer, said in **bold**.")
        await chat.open(session.id)
        await chat.pilot.press("ctrl+p", *"copy mess")
        await chat.until_shown("Message: Copy message")
        await chat.pilot.press("enter")
        await chat.until(lambda: chat.app.clipboard == "Answer, said in **bold**.")
        assert chat.app.focused is chat.transcript
        await chat.pilot.press("ctrl+p", *"archive")
        await chat.until_shown("In the list: Archive")
        await chat.pilot.press("escape", "ctrl+b", "ctrl+b", "ctrl+p", *"archive")
        await chat.until_shown("No matches found")


async def test_the_model_is_chosen_from_a_list(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.pilot.press("ctrl+t")
        await chat.until_shown("135M")
        assert "2k context" in chat.text
        assert "family parrot" in chat.text
        await chat.pilot.press("enter")
        await chat.until(lambda: chat.app.screen is chat.screen)
        await chat.say("/model scripted:nobody")
        await chat.until_shown("There is no model nobody.")


async def test_the_last_answer_is_copied_as_it_was_written(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "One", "a", "**bold** words")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        await chat.say("/copy")
        await chat.until_shown("Copied the last answer.")
        assert chat.app.clipboard == "**bold** words"


# Panes


async def test_on_a_narrow_screen_panes_lie_over_the_conversation_and_close_behind_the_focus(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "Found again", "a", "an answer")
        assert "Search" not in chat.text
        await chat.pilot.press("ctrl+b")
        await chat.until_shown("Found again")
        await chat.pilot.press("down", "enter")
        await chat.until(lambda: chat.session_id == session.id)
        await chat.until(lambda: "Search" not in chat.text)
        assert chat.app.focused is chat.composer
        await chat.pilot.press("ctrl+o")
        await chat.until_shown("Workers")
        await chat.pilot.press("escape")
        await chat.until(lambda: "Workers" not in chat.text)
        assert chat.app.focused is chat.composer


async def test_a_wide_screen_has_a_column_for_each_pane_and_a_key_hides_it(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=(200, 60)) as chat:
        await chat.ready()
        await chat.until_shown("Search")
        await chat.until_shown("Workers")
        width = chat.composer.size.width
        await chat.pilot.press("ctrl+b")
        assert type(chat.app.focused).__name__ == "SessionRows"
        await chat.pilot.press("ctrl+b")
        await chat.until(lambda: "Search" not in chat.text)
        assert chat.app.focused is chat.composer
        assert chat.composer.size.width == width + 40
        assert "Workers" in chat.text


async def test_panes_give_way_when_the_terminal_shrinks_and_come_back_when_it_grows(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=(200, 60)) as chat:
        await chat.ready()
        await chat.until_shown("Search")
        await chat.pilot.resize_terminal(80, 24)
        await chat.until(lambda: "Search" not in chat.text and "Workers" not in chat.text)
        assert chat.composer.outer_size.width == 80
        await chat.pilot.resize_terminal(200, 60)
        await chat.until(lambda: "Search" in chat.text and "Workers" in chat.text)


async def test_the_whole_keyboard_path_needs_no_mouse(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "One", "a", "b")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        seen = set()
        for _ in range(6):
            await chat.pilot.press("tab")
            seen.add(type(chat.app.focused).__name__)
        assert {"Composer", "Transcript", "SessionRows"} <= seen


async def test_a_click_on_a_key_presses_it(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        line = chat.text.splitlines()[-1]
        await chat.pilot.click(KeyBar, offset=(line.index("Help"), 0))
        await chat.until_shown("Search for a key or a word")


# Finding


async def test_ctrl_f_finds_words_in_the_conversation_and_enter_goes_from_one_to_the_next(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await chat.ready()
        texts = [f"number {n}, a jay" if n in (10, 30) else f"number {n}" for n in range(60)]
        session = await keep_talk(chat.engine, "Birds", *texts)
        chat.screen.open(session.id)
        await chat.until_shown("number 59")
        await chat.pilot.press("ctrl+f", *"a jay")
        await chat.until_shown("2 in 2 messages")
        await chat.until_shown("number 30, a jay")
        await chat.pilot.press("up")
        await chat.until_shown("number 10, a jay")
        await chat.pilot.press("enter")
        await chat.until_shown("number 30, a jay")
        await chat.pilot.press("escape")
        await chat.until(lambda: "in 2 messages" not in chat.text)
        assert chat.app.focused is chat.composer


async def test_words_are_found_in_a_conversation_that_has_just_begun(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["It is a jay."])) as chat:
        await chat.ready()
        await chat.say("Which bird?")
        await chat.until_shown("It is a jay.")
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/find a jay")
        await chat.until_shown("in 1 message")


async def test_a_search_of_all_leads_to_the_place_in_a_long_message_and_lights_it_up(
    tmp_path: Path,
) -> None:
    # No other word begins like these: what is lit does not depend on how fast the search follows.
    long = "\n\n".join(f"Paragraph {n}, of a jay." for n in range(40))
    text = f"{long}\n\nThe acorn lies below the elms.\n\n{long}"
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await keep_talk(chat.engine, "A long talk", "Where?", text, "Thanks", "You are welcome.")
        await chat.pilot.press("ctrl+b", "/", *"acorn elms")
        await chat.until_shown("1 found")
        await chat.pilot.press("enter")
        await chat.until_shown("The acorn lies below the elms.")
        await chat.until(lambda: lit(chat) == ["acorn", "elms"])
        await chat.pilot.press("escape")
        await chat.until(lambda: not lit(chat))


def lit(chat: Chat) -> list[str]:
    """The words of the transcript that are marked as found."""
    transcript = chat.transcript
    ground = transcript.get_component_rich_style("transcript--match").bgcolor
    rows = (transcript.render_line(y) for y in range(transcript.size.height))
    return [text for row in rows for text, style, _ in row if style and style.bgcolor == ground]


async def test_words_that_are_not_there_are_told_and_a_new_session_ends_the_search(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await keep_talk(chat.engine, "Birds", "a", "b")
        chat.screen.open(session.id)
        await chat.until(lambda: chat.session_id == session.id)
        await chat.say("/find penguin")
        await chat.until_shown("not found")
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: "not found" not in chat.text)


# What the screen says


async def test_the_status_line_tells_model_speed_and_context(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["one ", "two ", "three"])) as chat:
        await chat.ready()
        await chat.say("Count")
        await chat.until_shown("6 tok/s")  # three chunks in half a second
        status = chat.text.splitlines()[-2]
        assert "● scripted:parrot" in status
        assert status.rstrip().endswith("context 13/2k 1%")


async def test_an_empty_conversation_says_who_answers_and_where_words_are_kept(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await chat.ready()
        await chat.until_shown("parrot answers")
        assert "Every conversation stays on this computer, in ~/data." in chat.text


async def test_a_download_is_shown_with_its_share_and_size(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await chat.ready()
        # A stand-in: the real download needs the network and seconds.
        chat.engine.models.current = None
        chat.engine.models._tell("fetching", "fetching smollm2-135m (93 MB), once", 0.43)
        await chat.until_shown("Fetching smollm2-135m (93 MB), once.")
        body, status = chat.text.splitlines()[:-2], chat.text.splitlines()[-2]
        assert any("━ 43%" in line for line in body)
        assert "43%" in status


async def test_titles_and_notices_are_text_and_never_markup(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("[red]not red[/red] \x1b[31m [/nothing")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: "[red]not red[/red]" in chat.text.splitlines()[0])
        assert "\x1b" not in chat.text


# Branches


async def told(chat: Chat) -> list[str]:
    return [message.content for message in await chat.messages()]


async def test_an_earlier_question_is_edited_and_its_branches_are_walked(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["one"], ["two"], ["three"])) as chat:
        await chat.ready()
        for question, answer in (("first", "one"), ("second", "two")):
            await chat.say(question)
            await chat.until_shown(answer)
            await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.pilot.press(*"unsent")
        chat.transcript.focus()
        await chat.pilot.press("left_square_bracket", "left_square_bracket", "e")
        await chat.until(lambda: chat.composer.text == "second")
        await chat.pilot.press(*", better", "enter")
        await chat.until_shown("three")
        await chat.until(lambda: not chat.screen.conversation.answering)
        assert await told(chat) == ["first", "one", "second, better", "three"]
        assert chat.composer.text == "unsent"

        chat.transcript.focus()
        await chat.pilot.press("left_square_bracket")  # on its answer, which has no alternative
        await chat.until_shown("‹ 2/2 ›")
        await chat.pilot.press("less_than_sign")
        await chat.until_shown("two")
        assert await told(chat) == ["first", "one", "second", "two"]
        await chat.until_shown("‹ 1/2 ›")
        await chat.pilot.press("greater_than_sign")
        await chat.until_shown("three")
        assert await told(chat) == ["first", "one", "second, better", "three"]
        assert chat.composer.text == "unsent"


async def test_escape_leaves_a_question_as_it_was_and_gives_the_draft_back(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["one"])) as chat:
        await chat.ready()
        await chat.say("first")
        await chat.until_shown("one")
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/edit")
        await chat.until(lambda: chat.composer.text == "first")
        await chat.until_shown("asking anew from here")
        await chat.pilot.press("x", "escape")
        await chat.until(lambda: chat.composer.text == "")
        assert await told(chat) == ["first", "one"]


async def test_a_question_is_taken_back_with_its_answer_and_comes_back(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["one"], ["two"])) as chat:
        await chat.ready()
        for question, answer in (("first", "one"), ("second", "two")):
            await chat.say(question)
            await chat.until_shown(answer)
            await chat.until(lambda: not chat.screen.conversation.answering)
        chat.transcript.focus()
        await chat.pilot.press("left_square_bracket", "left_square_bracket", "d")
        await chat.until_shown("Took it back")
        assert await told(chat) == ["first", "one"]
        await chat.until(lambda: "two" not in chat.text)
        chat.composer.focus()
        await chat.say("/undo")
        await chat.until_shown("two")
        assert await told(chat) == ["first", "one", "second", "two"]


async def test_a_stopped_answer_goes_on_where_it_ended(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with chatting(tmp_path, ScriptedBackend(["Blue ", gate], ["and grey."])) as chat:
        await chat.ready()
        await chat.say("What colour?")
        await chat.until_shown("Blue")
        await chat.pilot.press("escape")
        await chat.until_shown("stopped")
        chat.transcript.focus()
        await chat.pilot.press("m")
        await chat.until_shown("Blue and grey.")
        await chat.until(lambda: not chat.screen.conversation.answering)
        assert await told(chat) == ["What colour?", "Blue and grey."]


async def test_another_model_is_chosen_to_answer_once(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend(["one"], ["again"])) as chat:
        await chat.ready()
        await chat.say("first")
        await chat.until_shown("one")
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/again")
        await chat.until_shown("Answer again with")
        await chat.until_shown("scripted:parrot  ")
        await chat.pilot.press("enter")
        await chat.until_shown("again")
        await chat.until(lambda: not chat.screen.conversation.answering)
        assert await told(chat) == ["first", "again"]


# Sessions


def rows(chat: Chat) -> list[str]:
    return chat.text.split("\n")


async def test_an_answer_that_ends_elsewhere_is_unread_until_it_is_shown_also_after_quitting(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    async with chatting(tmp_path, ScriptedBackend(["one", gate])) as chat:
        await chat.ready()
        await chat.say("first")
        await chat.until_shown("one")
        session_id = chat.session_id
        assert session_id is not None
        await chat.pilot.press("ctrl+n")
        await chat.until(lambda: chat.session_id is None)
        gate.set()
        await chat.until(lambda: any("first" in row and "●" in row for row in rows(chat)))
    async with chatting(tmp_path) as chat:
        await chat.ready()
        session = await chat.engine.library.session(session_id)
        assert session.state["unread"]
        chat.screen.open(session_id)
        await chat.until_shown("one")
        for _ in range(200):
            if not (await chat.engine.library.session(session_id)).state.get("unread"):
                break
            await chat.pilot.pause(0.02)
        assert not (await chat.engine.library.session(session_id)).state.get("unread")


async def test_a_conversation_is_tagged_and_found_by_its_tag(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("/tag birds")
        await chat.until_shown("once it has begun")
        await chat.say("What is a jay?")
        await chat.until(lambda: chat.session_id is not None)
        await chat.until(lambda: not chat.screen.conversation.answering)
        await chat.say("/tag My Birds")
        await chat.until_shown("Its tags: my-birds.")
        [hit] = await chat.engine.library.search("tag:my-birds")
        assert hit.session.id == chat.session_id
        await chat.say("/tag my-birds")
        await chat.until_shown("It has no tags now.")
