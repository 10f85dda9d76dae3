"""`scrubjay chat` on a terminal that can do nothing but print, with the embedded model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.embedded_weights import models_folder
from tests.homes import environment
from tests.terminal.app import ROOT
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from pathlib import Path


def test_a_screen_on_a_dumb_terminal_is_refused_with_another_way(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui.cli"]
    with Terminal(command, env=environment(tmp_path, TERM="dumb"), cwd=ROOT) as terminal:
        assert terminal.wait_for_end() == 2
        assert "scrubjay chat" in terminal.text


def test_a_dumb_terminal_is_enough_to_talk(tmp_path: Path) -> None:
    env = environment(
        tmp_path,
        TERM="dumb",
        SCRUBJAY_MODELS_DIR=str(models_folder()),
        SCRUBJAY_MODEL_MAX_TOKENS="12",
    )
    command = [sys.executable, "-m", "tui.cli", "--plain"]
    with Terminal(command, env=env, cwd=ROOT, columns=80, lines=24) as terminal:
        terminal.wait_for(r"(?m)^>")
        terminal.keys("Say hello.\r")
        terminal.wait_for(r"(?m)^> Say hello\.\n(.+\n)+>\s*$")
        terminal.keys("/quit\r")
        assert terminal.wait_for_end() == 0
        assert b"\x1b" not in terminal.everything
        assert b"\r" not in terminal.everything.replace(b"\r\n", b"")
