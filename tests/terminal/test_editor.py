"""Writing in one's own editor: the app steps aside, works on, and comes back with the text."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tests.terminal.app import LONG_QUESTION, PROMPT, QUIT, ask, is_over, scrubjay

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE = "\x07"


def editor(folder: Path, script: str) -> str:
    file = folder / "editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def test_what_is_saved_in_the_editor_is_in_the_composer(tmp_path: Path) -> None:
    command = editor(tmp_path, 'echo "EDITING $(cat "$1")"; read _; echo "from outside" >> "$1"')
    with scrubjay(tmp_path, EDITOR=command) as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys("from inside")
        terminal.wait_for("from inside")
        terminal.keys(OUTSIDE)
        terminal.wait_for("EDITING from inside")
        terminal.keys("\n")
        text = terminal.wait_for("from outside")
        assert "from inside" in text
        assert "EDITING" not in text
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0


def test_an_answer_goes_on_while_the_editor_is_open(tmp_path: Path) -> None:
    command = editor(tmp_path, 'echo EDITING; read _; echo "next question" > "$1"')
    with scrubjay(tmp_path, EDITOR=command, SCRUBJAY_MODEL_MAX_TOKENS="60") as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.keys(OUTSIDE)
        terminal.wait_for("EDITING")
        terminal.keys("\n")
        terminal.wait_for("next question")
        terminal.wait_for(is_over)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0


def test_an_editor_that_fails_leaves_the_text_and_says_so(tmp_path: Path) -> None:
    with scrubjay(tmp_path, EDITOR="false") as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys("keep me")
        terminal.wait_for("keep me")
        terminal.keys(OUTSIDE)
        text = terminal.wait_for("false ended with code 1")
        assert "keep me" in text
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
