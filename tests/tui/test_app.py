"""The app as a whole: what it starts with, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config import Settings
from tests.embedded_weights import paths_under
from tests.homes import environment
from tests.terminal.app import ENTER, PROMPT, ask, is_over, scrubjay
from tests.tui.chatting import chatting, settings
from tui.app import CANNOT_OPEN, run

ROOT = Path(__file__).parents[2]

AT_THE_FIRST_FRAME = """
import sys
from engine.config import Settings, find_paths
from tui import app

class Watched(app.ScrubjayApp):
    def on_mount(self):
        self.call_after_refresh(self.told)

    def told(self):
        models = self.engine.models
        searching = [job.name for job in self.engine.pool.jobs()]
        print("LOADED", *sorted(sys.modules), file=sys.__stdout__)
        print("SEARCHING", *searching, file=sys.__stdout__)
        print("PLUGINS", *self.engine.plugins.found, file=sys.__stdout__)
        self.exit()

app.ScrubjayApp = Watched
app.run(Settings(), find_paths())
"""

SIDEBAR = "\x02"

HEAVY = {
    "psycopg",
    "ollama",
    "numpy",
    "tiktoken",
    "httpx",
    "pydantic",
    "psutil",
    "pygments",
    "markdown_it",
}


def test_nothing_heavy_is_loaded_and_no_model_is_looked_for_before_the_first_frame(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_FIRST_FRAME],
        env=environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kinds = ("LOADED", "SEARCHING", "PLUGINS")
    lines = [line for line in done.stdout.splitlines() if line.startswith(kinds)]
    told = {line.split()[0]: line.split()[1:] for line in lines}
    assert "textual" in told["LOADED"]
    assert HEAVY & {module.partition(".")[0] for module in told["LOADED"]} == set()
    assert not {"importlib.metadata", "engine.plugins"} & set(told["LOADED"])
    assert told["SEARCHING"] == told["PLUGINS"] == []


def test_a_database_that_can_not_be_opened_is_told_in_words_with_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = paths_under(tmp_path)
    paths.data_dir.mkdir(parents=True)
    paths.database_file.write_text("This is no database. " * 100)
    assert run(Settings(), paths) == CANNOT_OPEN
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{paths.database_file} is not a Scrubjay database." in told.err
    assert "Traceback" not in told.err
    assert paths.database_file.read_text().startswith("This is no database.")


async def test_the_theme_of_the_settings_is_used(tmp_path: Path) -> None:
    async with chatting(tmp_path, chosen=settings("scrubjay-light")) as chat:
        assert chat.app.theme == "scrubjay-light"
        assert not chat.app.current_theme.dark


async def test_an_unknown_theme_is_told_and_replaced(tmp_path: Path) -> None:
    async with chatting(tmp_path, chosen=settings("no-such-theme")) as chat:
        assert chat.app.theme == "scrubjay-dark"
        await chat.until_shown("There is no theme 'no-such-theme'")


async def test_a_theme_is_changed_by_a_command(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.ready()
        await chat.say("/theme nord")
        await chat.until(lambda: chat.app.theme == "nord")


async def test_what_can_be_typed_before_the_panes_are_there_is_kept_and_sent(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as chat:
        await chat.pilot.press("E", "a", "r", "l", "y", "enter")
        await chat.ready()
        await chat.until(lambda: chat.session_id is not None)
        assert (await chat.messages())[0].content == "Early"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_app_in_order_and_gives_the_terminal_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    with scrubjay(tmp_path, SCRUBJAY_MODEL_MAX_TOKENS="8") as terminal:
        ask(terminal, "Say hello.")
        terminal.wait_for(is_over)
        terminal.keys("unsent")
        terminal.wait_for("unsent")
        os.kill(terminal.pid, number)
        assert terminal.wait_for_end() == 128 + number
        assert b"Traceback" not in terminal.everything
        left = terminal.everything.rfind(b"\x1b[?1049l")
        assert left > terminal.everything.rfind(b"\x1b[?1049h")
    with scrubjay(tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        terminal.wait_for("Say hello.")  # in the sidebar
        terminal.keys(SIDEBAR)
        terminal.wait_for("/ Search")
        terminal.keys(ENTER)
        terminal.wait_for("unsent")
