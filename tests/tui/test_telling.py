"""What the program tells a person, and that it covers nothing that is being read or written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tui.chatting import ANSWER, QUESTION, Chat, chatting, keep_talk
from tui import telling
from tui.telling import tell

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (80, 24)
SHORT = "Here: max_tokens 30."
LONG = "The disk is full, so nothing more can be kept until there is room on it. " * 3


async def read_on(chat: Chat) -> None:
    """Show a conversation that is longer than the screen, at its end."""
    await chat.ready()
    session = await keep_talk(chat.engine, "Read a file", QUESTION, ANSWER)
    chat.screen.open(session.id)
    await chat.until_shown("Leave the closing to")
    await chat.still()


def rows(chat: Chat) -> list[str]:
    return chat.text.splitlines()


def talk(chat: Chat) -> list[str]:
    """All that is above the status line: the conversation and the composer."""
    return rows(chat)[:-2]


async def test_a_confirmation_stands_in_the_status_line_alone(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        before = talk(chat)
        tell(chat.screen, SHORT)
        await chat.until_shown(SHORT)
        assert SHORT in rows(chat)[-2]
        assert talk(chat) == before


async def test_a_later_one_takes_its_place(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        tell(chat.screen, SHORT)
        tell(chat.screen, "There is no code in this message.", "warning")
        await chat.until_shown("no code")
        assert SHORT not in chat.text


async def test_it_goes_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(telling.SECONDS, "information", 0.2)
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        before = rows(chat)
        tell(chat.screen, SHORT)
        await chat.until(lambda: SHORT not in chat.text)
        assert rows(chat) == before


@pytest.mark.parametrize("severity", ["information", "error"])
async def test_what_is_long_leaves_the_newest_lines_and_the_composer_in_sight(
    severity: str, tmp_path: Path
) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        before = rows(chat)
        tell(chat.screen, LONG, "error" if severity == "error" else "information")
        await chat.until_shown("room on it.")
        assert rows(chat)[-11:] == before[-11:]


async def test_of_several_notices_the_newest_is_shown(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        before = rows(chat)
        for number in range(6):
            tell(chat.screen, f"{number}: {LONG}", "error")
        await chat.until_shown("5: The disk")
        assert chat.text.count("The disk") == LONG.count("The disk")
        assert rows(chat)[-11:] == before[-11:]


async def test_it_is_text_whatever_is_in_it(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        tell(chat.screen, "[red]a[/] \x1b[31mb")
        await chat.until_shown("[red]a[/] ␛[31mb")


async def test_where_there_is_no_status_line_it_is_a_notice(tmp_path: Path) -> None:
    async with chatting(tmp_path, size=SMALL) as chat:
        await read_on(chat)
        await chat.pilot.press("f1")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        tell(chat.app, SHORT)
        await chat.until_shown(SHORT)
