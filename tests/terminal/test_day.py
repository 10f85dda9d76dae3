"""A whole day's work on a real terminal, by the keys that a person presses, with a real model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import storage.blocking
from tests.terminal.app import (
    ENTER,
    ESCAPE,
    LONG_QUESTION,
    NEW,
    PROMPT,
    QUIT,
    ask,
    is_over,
    scrubjay,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.records import Message
    from tests.terminal.screen import Terminal

TAB = "\t"
CHATS = "\x02"

MORNING = "Why is the sky blue?"
NOON = "What do acorns need?"
ANEW = f"{LONG_QUESTION} In verse."
UNSENT = "Tomorrow I shall ask about"

HEADING = re.compile(r"^(?:Assistant|smollm2\S*) · \d\d:\d\d.*$", re.MULTILINE)
WAITS = re.compile(r"(reading|waiting|queued) ")
"""What stands in an answer's place before it has begun."""

STOPPED = "stopped · ctrl.r answers again"
CURSOR = re.compile(r"^ ┃ (.*)$", re.MULTILINE)


def start(home: Path) -> Terminal:
    """The app on a small screen, where a conversation soon goes beyond it."""
    return scrubjay(home, columns=80, lines=24, SCRUBJAY_MODEL_MAX_TOKENS="30")


def talk(text: str) -> str:
    """The conversation on the screen; not the line at its left, nor the scroll bar."""
    rows = text.partition("╭")[0].splitlines()[1:]
    return "\n".join(row[3:77].rstrip() for row in rows).strip()


def answer_to(question: str, text: str) -> str:
    """What has come of the answer to a question, if that is the last one on the screen."""
    _, asked, answer = talk(text).rpartition(f"\n{question}\n")
    words = " ".join(HEADING.split(answer)[1:]).strip()
    return "" if not asked or WAITS.match(words) else words


def answered(question: str) -> Callable[[str], bool]:
    """A condition: the answer to a question is on the screen, and over."""
    return lambda text: is_over(text) and bool(answer_to(question, text))


def at_cursor(text: str) -> str:
    """The message that keys act on."""
    return " ".join(CURSOR.findall(text))


def in_bar(keys: str) -> Callable[[str], bool]:
    """A condition: the bar at the bottom begins with these keys."""
    return lambda text: text.splitlines()[-1].strip().startswith(keys)


def command(terminal: Terminal, line: str) -> None:
    """Write a slash command and send it."""
    terminal.keys(line)
    terminal.wait_for(re.escape(line))
    terminal.keys(ENTER)
    terminal.wait_for(PROMPT)


def to_question(terminal: Terminal, question: str) -> None:
    """Go into the conversation, if that is not where the keys go, and up to a question."""
    if in_bar("⏎ Send")(terminal.text):
        terminal.keys(TAB)
        terminal.wait_for(in_bar("v Select"))
    while question not in at_cursor(terminal.text):
        before = at_cursor(terminal.text)
        terminal.keys("[")
        terminal.wait_for(moved_from(before))


def moved_from(before: str) -> Callable[[str], bool]:
    """A condition: the cursor is elsewhere."""
    return lambda text: at_cursor(text) != before


def search(terminal: Terminal, word: str, question: str) -> None:
    """Look through all conversations, and open the one found where the word was said."""
    terminal.keys(CHATS)
    terminal.wait_for(in_bar("n New"))
    terminal.keys("/")
    terminal.wait_for(in_bar("^n New"))
    terminal.keys(word)
    terminal.wait_for(rf"1 found .*\n.{re.escape(question)}")
    terminal.keys(ENTER)
    terminal.wait_for(lambda text: question in at_cursor(text))


def shown_branch(home: Path, question: str) -> list[Message]:
    """What was kept of the conversation that a question began: the messages of the shown branch."""
    with storage.blocking.open(home / ".local/share/scrubjay/scrubjay.db") as store:
        talks = [store.messages.tail(session.id, 10) for session in store.sessions.list()]
    return next(talk for talk in talks if talk and talk[0].content == question)


def test_a_day(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    with start(tmp_path) as terminal:
        ask(terminal, MORNING)
        terminal.wait_for(answered(MORNING))

        command(terminal, "/set max_tokens 1500")
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(lambda text: len(answer_to(LONG_QUESTION, text).split()) >= 8)
        terminal.keys(ESCAPE)
        terminal.wait_for(STOPPED)
        stopped = answer_to(LONG_QUESTION, terminal.text)
        command(terminal, "/set max_tokens 30")

        to_question(terminal, LONG_QUESTION)
        terminal.keys("e")
        terminal.wait_for("asking anew from here")
        terminal.keys(" In verse.")
        terminal.wait_for(ANEW)
        terminal.keys(ENTER)
        terminal.wait_for(answered(ANEW))

        to_question(terminal, ANEW)
        terminal.wait_for("‹ 2/2 ›")
        in_verse = talk(terminal.text)
        terminal.keys("<")
        terminal.wait_for("‹ 1/2 ›")
        terminal.wait_for(lambda text: answer_to(LONG_QUESTION, text) == stopped)
        terminal.keys(">")
        terminal.wait_for(lambda text: talk(text) == in_verse)

        terminal.keys(NEW)
        terminal.wait_for("smollm2-135m answers")
        ask(terminal, NOON)
        terminal.wait_for(answered(NOON))
        acorns = talk(terminal.text)

        search(terminal, "blue", MORNING)
        terminal.keys("G")
        terminal.wait_for(lambda text: not at_cursor(text) and talk(text) == in_verse)

        terminal.keys(ESCAPE)
        terminal.wait_for(in_bar("⏎ Send"))
        command(terminal, f"/export {notes}")
        terminal.wait_for("Exported to")
        terminal.keys(UNSENT)
        terminal.wait_for(UNSENT)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0

    exported = notes.read_text()
    assert NOON not in exported
    said = shown_branch(tmp_path, MORNING)
    assert [message.content for message in said[::2]] == [MORNING, ANEW]
    assert all(message.content.rstrip() in exported for message in said)

    with start(tmp_path) as terminal:
        terminal.wait_for("smollm2-135m answers")
        search(terminal, "blue", MORNING)
        assert UNSENT in terminal.text
        terminal.keys("G")
        terminal.wait_for(lambda text: not at_cursor(text) and talk(text) == in_verse)
        to_question(terminal, ANEW)
        terminal.keys("<")
        terminal.wait_for(lambda text: answer_to(LONG_QUESTION, text) == stopped)
        search(terminal, "acorns", NOON)
        terminal.keys("G")
        terminal.wait_for(lambda text: not at_cursor(text) and talk(text) == acorns)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
