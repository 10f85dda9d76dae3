"""The app in a terminal: how tests start it and what they look for on its screen."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.embedded_weights import models_folder
from tests.homes import environment
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

PROMPT = "Ask anything"
QUIT = "\x11"
ENTER = "\r"
ESCAPE = "\x1b"
RETRY = "\x12"
NEW = "\x0e"

LONG_QUESTION = "Write a novel."
"""What even a small model answers at length."""

SIDEBAR_COLUMNS = 30
HEADING = re.compile(r"│ (?:Assistant|smollm2\S*) · \d\d:\d\d")
"""Over an answer: the model is known when it is over."""


def scrubjay(home: Path, *, columns: int = 120, lines: int = 40, **variables: str) -> Terminal:
    """The app in a home that has the default weights, and no Ollama server but a given one."""
    return Terminal(
        [sys.executable, "-m", "tui.cli"],
        env=environment(
            home,
            SCRUBJAY_MODELS_DIR=str(models_folder()),
            **{"SCRUBJAY_MODEL_MAX_TOKENS": "1500", **variables},
        ),
        cwd=ROOT,
        columns=columns,
        lines=lines,
    )


def ask(terminal: Terminal, question: str) -> None:
    """Type a question, see it in the composer, and send it."""
    terminal.wait_for(PROMPT)
    terminal.keys(question)
    terminal.wait_for(re.escape(question))
    terminal.keys(ENTER)


def open_session(terminal: Terminal, title: str) -> None:
    """Choose a session in the sidebar, from an empty new one."""
    terminal.keys(NEW)
    terminal.wait_for(lambda text: "Scrubjay" in text and title in sidebar(text))
    row = next(row for row, line in enumerate(sidebar(terminal.text).splitlines()) if title in line)
    terminal.click(row, 2)


def sidebar(text: str) -> str:
    """The list of sessions."""
    return "\n".join(line[:SIDEBAR_COLUMNS] for line in text.splitlines())


def answer_on(text: str) -> str:
    """The part of the last answer that the screen shows, its lines joined."""
    transcript, _, _ = text.partition("╭")
    rows = transcript.splitlines()[1:]
    headings = [number for number, row in enumerate(rows) if HEADING.search(row)]
    if not headings and "│ You ·" in transcript:
        return ""
    answer = rows[headings[-1] + 1 :] if headings else rows
    pieces = (row.partition("│")[2].strip(" ▁▂▃▄▅▆▇█") for row in answer if "│" in row)
    return " ".join(filter(None, pieces))


def grown(words: int) -> Callable[[str], bool]:
    """A condition: the screen shows at least so many words of an answer."""
    return lambda text: len(answer_on(text).split()) >= words


def is_over(text: str) -> bool:
    """Whether the status line shows the speed of an answer that is complete."""
    return re.search(r"● \S+ +\d+ tok/s", text) is not None
