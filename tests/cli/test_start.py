"""What happens before a command: help, settings, the log, and starting without a terminal."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine import __version__
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from tests.cli.conftest import Scrubjay

OURS = {"tui", "tui.cli", "tui.command_line", "tui.command_line.arguments", "engine"}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_and_version_import_nothing_but_the_standard_library(option: str) -> None:
    code = (
        "import sys; before = set(sys.modules); from tui.cli import main\n"
        "try: main([sys.argv[1]])\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, option], capture_output=True, text=True, cwd=ROOT, check=True
    )
    imported = set(done.stderr.split())
    others = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    assert others <= OURS
    assert not imported & {"asyncio", "sqlite3", "logging", "shutil"}
    assert done.stdout


def test_the_version_is_told(scrubjay: Scrubjay) -> None:
    for words in (["--version"], ["-V"], ["-V", "doctor"]):
        told = scrubjay.run(*words)
        assert (told.code, told.out) == (0, f"scrubjay {__version__}\n")


def test_a_wrong_command_line_is_told(scrubjay: Scrubjay) -> None:
    for words in (["dance"], ["sessions"], ["sessions", "export", "x", "--format", "pdf"]):
        wrong = scrubjay.run(*words)
        assert wrong.code == 2
        assert "usage: scrubjay" in wrong.err


def test_the_screen_needs_a_terminal(scrubjay: Scrubjay) -> None:
    refused = scrubjay.run()
    assert refused.code == 2
    assert "scrubjay ask" in refused.err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[model", "is not valid TOML"),
        ("[model]\ntemperature = 'hot'", "line 2: [model] temperature is 'hot'"),
        ("[modle]\n", "modle"),
        ("[log]\nlevel = 'chatty'", "must be “debug” or “info” or “warning” or “error”"),
    ],
)
def test_settings_that_can_not_be_used_are_told_in_a_line(
    scrubjay: Scrubjay, text: str, complaint: str
) -> None:
    scrubjay.paths.settings_file.parent.mkdir(parents=True)
    scrubjay.paths.settings_file.write_text(text)
    refused = scrubjay.run("sessions", "list")
    assert refused.code == 1
    assert refused.out == ""
    [line] = refused.err.splitlines()
    assert line.startswith("scrubjay: ")
    assert complaint in line


def test_a_database_that_can_not_be_used_is_told_with_the_next_step(scrubjay: Scrubjay) -> None:
    scrubjay.paths.data_dir.parent.mkdir(parents=True)
    scrubjay.paths.data_dir.write_text("a file where a folder should be")
    refused = scrubjay.run("sessions", "list")
    assert refused.code == 1
    [message, step] = refused.err.splitlines()
    assert "scrubjay.db" in message
    assert step


def test_a_log_that_can_not_be_written_stops_nothing(scrubjay: Scrubjay) -> None:
    listed = scrubjay.run("sessions", "list", "--json", SCRUBJAY_STATE_DIR="/dev/null/log")
    assert (listed.code, listed.json) == (0, [])
    assert "Nothing is logged" in listed.err


def test_what_was_asked_and_answered_is_not_in_the_log(answering: Scrubjay) -> None:
    asked = answering.run("ask", "Tell of the pomegranate.", SCRUBJAY_LOG_LEVEL="debug")
    assert asked.code == 0
    answering.run("ask", "--model", "embedded:nobody", "Tell of the pomegranate.")
    assert stat.S_IMODE(answering.paths.log_file.stat().st_mode) == 0o600
    log = answering.paths.log_file.read_text(encoding="utf-8")
    assert "pomegranate" not in log
    assert asked.out.strip() not in log
