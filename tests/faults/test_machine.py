"""The machine on a bad day, on a real terminal: signals, sizes, disks, homes and encodings.

Whatever happens, the terminal is left as it was found: `left_on` tells what is not.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.homes import environment
from tests.terminal.app import (
    ENTER,
    LONG_QUESTION,
    PROMPT,
    QUIT,
    ROOT,
    answer_on,
    ask,
    grown,
    is_over,
    open_session,
    scrubjay,
)
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from pathlib import Path

APP = (sys.executable, "-m", "tui.cli")
BOUND = (
    sys.executable,
    "-c",
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(24, 1)\n"  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    "os.execv(sys.argv[1], sys.argv[1:])",
)
"""Before a command: root, too, is bound by permissions in it."""


def test_sigkill_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(5))
        _wait_until(lambda: terminal.find(_watching(terminal)))
        assert "mode 1003" in terminal.left_on
        terminal.kill(signal.SIGKILL, "tui.cli")
        assert terminal.wait_for_end() == -signal.SIGKILL
        assert terminal.left_on == []
        _wait_until(lambda: terminal.left_behind() == [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_leaves_the_terminal_as_it_was(
    tmp_path: Path, number: signal.Signals
) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(5))
        terminal.kill(number, "tui.cli")
        assert terminal.wait_for_end(within=20) == 128 + number
        assert terminal.left_on == []
        assert terminal.left_behind() == []


def test_a_window_that_is_closed_keeps_the_partial_answer_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        seen = answer_on(terminal.wait_for(grown(15)))
        terminal.close()
        _wait_until(lambda: terminal.left_behind() == [])
    with scrubjay(tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        open_session(terminal, LONG_QUESTION)
        kept = answer_on(terminal.wait_for("◼ interrupted"))
        assert kept.split()[:10] == seen.split()[:10]


def test_a_stopped_app_gives_the_terminal_to_the_shell_and_takes_it_again(tmp_path: Path) -> None:
    with scrubjay(tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys("half a thought")
        terminal.wait_for("half a thought")
        app = psutil.Process(terminal.pid)
        app.send_signal(signal.SIGTSTP)
        _wait_until(lambda: app.status() == psutil.STATUS_STOPPED)
        terminal.read_for(0.2)
        assert terminal.left_on == []
        app.send_signal(signal.SIGCONT)
        terminal.wait_for(lambda _: "mode 1049" in terminal.left_on)
        terminal.keys(" goes on")
        terminal.wait_for("half a thought goes on")
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
        assert terminal.left_on == []


def test_a_storm_of_sizes_ends_in_a_screen_of_the_last_one(tmp_path: Path) -> None:
    chance = random.Random(7)
    with scrubjay(tmp_path, SCRUBJAY_MODEL_MAX_TOKENS="60") as terminal:
        ask(terminal, LONG_QUESTION)
        for _ in range(100):
            terminal.resize(chance.randint(1, 130), chance.randint(1, 45))
            terminal.read_for(0.002)
        terminal.resize(100, 30)
        terminal.wait_for(lambda text: is_over(text) and PROMPT in text)
        terminal.keys("alive")
        terminal.wait_for("│ alive")
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
        assert b"Traceback" not in terminal.everything


def test_a_full_disk_gives_the_question_back_until_there_is_room(tmp_path: Path) -> None:
    # The limit on a file's size stands for the disk's.
    with scrubjay(tmp_path, SCRUBJAY_MODEL_MAX_TOKENS="20") as terminal:
        ask(terminal, "Say hello.")
        terminal.wait_for(is_over)
        before = resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (1, before[1]))
        terminal.keys("Are you there?" + ENTER)
        terminal.wait_for(r"(?i)make\s+room")
        terminal.wait_for("│ Are you there\\?")
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, before)
        terminal.keys(ENTER)
        terminal.wait_for(lambda text: PROMPT in text and text.count("You ·") == 2)
        terminal.wait_for(is_over)


def test_a_read_only_home_is_said_with_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = environment(home)
    home.chmod(0o555)
    _said(env, "can't be opened for writing", "SCRUBJAY_DATA_DIR")


def test_a_home_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    tmp_path.chmod(0o555)
    try:
        _said({**env, "HOME": str(tmp_path / "gone")}, "can't be opened", "SCRUBJAY_DATA_DIR")
    finally:
        tmp_path.chmod(0o755)


def test_without_a_home_folders_of_ones_own_are_enough(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    for name in ("CONFIG", "DATA", "STATE", "CACHE", "MODELS"):
        env[f"SCRUBJAY_{name}_DIR"] = str(tmp_path / name)
    env["HOME"] = "/nonexistent"
    with Terminal([*BOUND, *APP], env=env, cwd=ROOT) as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
        assert terminal.left_on == []


def test_a_terminal_without_utf_8_is_refused_with_what_to_do(tmp_path: Path) -> None:
    env = environment(tmp_path, PYTHONIOENCODING="iso-8859-1")
    with Terminal(APP, env=env, cwd=ROOT, columns=200) as terminal:
        assert terminal.wait_for_end() == 2
        assert "UTF-8" in terminal.text
        assert "LANG" in terminal.text
        assert terminal.left_on == []
    done = subprocess.run(
        [*APP, "doctor"], env=env, cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    assert done.stdout.decode("iso-8859-1").startswith("? program")


def test_the_plain_locale_is_no_hindrance(tmp_path: Path) -> None:
    with scrubjay(tmp_path, LANG="C", LC_ALL="POSIX") as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys("Grüße, 世界")
        terminal.wait_for("Grüße, 世")
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0


def _said(env: dict[str, str], what: str, step: str) -> None:
    with Terminal([*BOUND, *APP], env=env, cwd=ROOT, columns=250) as terminal:
        assert terminal.wait_for_end() == 1
        assert what in terminal.text
        assert step in terminal.text
        assert "Traceback" not in terminal.text
        assert terminal.left_on == []


def _watching(terminal: Terminal) -> str:
    """The last word of the command line of the process that watches over the terminal."""
    for child in psutil.Process(terminal.pid).children():
        if "-I" in child.cmdline():
            return child.cmdline()[-1]
    return os.devnull


def _wait_until(true: object, seconds: float = 20) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not _holds(true):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _holds(true: object) -> bool:
    try:
        return bool(callable(true) and true())
    except (AssertionError, psutil.NoSuchProcess):
        return False
