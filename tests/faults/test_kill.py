"""The app and its model's process are killed in the middle of an answer; nothing said is lost."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil

from tests.terminal.app import (
    ESCAPE,
    LONG_QUESTION,
    PROMPT,
    QUIT,
    RETRY,
    answer_on,
    ask,
    grown,
    is_over,
    open_session,
    scrubjay,
)

if TYPE_CHECKING:
    from pathlib import Path

MODEL_PROCESS = "embedded_host.py"


def test_after_sigkill_the_next_start_shows_the_question_and_the_partial_answer(
    tmp_path: Path,
) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        seen = answer_on(terminal.wait_for(grown(40)))
        terminal.kill(signal.SIGKILL, "tui.cli")
        assert terminal.wait_for_end() == -signal.SIGKILL
        _, alive = psutil.wait_procs(terminal.left_behind(), timeout=10)
        assert alive == []

    with scrubjay(tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        open_session(terminal, LONG_QUESTION)
        kept = answer_on(terminal.wait_for("◼ interrupted")).partition("◼")[0].strip()
        assert len(kept.split()) >= 10
        assert kept.split()[:10] == seen.split()[:10]
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0


def test_sigterm_ends_the_app_in_order_and_keeps_the_partial_answer(tmp_path: Path) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        seen = answer_on(terminal.wait_for(grown(10)))
        terminal.kill(signal.SIGTERM, "tui.cli")
        assert terminal.wait_for_end(within=15) == 128 + signal.SIGTERM
        assert terminal.left_behind() == []
        assert b"\x1b[?1049l" in terminal.everything
        assert b"Traceback" not in terminal.everything

    with scrubjay(tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        open_session(terminal, LONG_QUESTION)
        kept = answer_on(terminal.wait_for("◼ interrupted")).partition("◼")[0].strip()
        assert kept.split()[: len(seen.split()) - 1] == seen.split()[:-1]


def test_a_model_process_that_crashes_mid_answer_is_told_and_the_next_question_works(
    tmp_path: Path,
) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(10))
        terminal.kill(signal.SIGSEGV, MODEL_PROCESS)
        text = terminal.wait_for("✖")
        assert "SIGSEGV" in text
        assert len(answer_on(text).partition("✖")[0].split()) >= 10

        ask(terminal, "Say hello.")
        text = terminal.wait_for(is_over)
        assert answer_on(text)
        assert PROMPT in text


def test_a_model_process_that_the_system_kills_for_its_memory_is_told_as_that(
    tmp_path: Path,
) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(10))
        terminal.kill(signal.SIGKILL, MODEL_PROCESS)
        text = terminal.wait_for("✖")
        assert "ran out of memory" in " ".join(answer_on(text).split())
        assert len(answer_on(text).partition("✖")[0].split()) >= 10
        terminal.keys(RETRY)
        terminal.wait_for(lambda text: grown(5)(text) and "✖" not in text)


def test_a_model_process_that_is_stopped_freezes_no_key_and_is_replaced(tmp_path: Path) -> None:
    with scrubjay(tmp_path, SCRUBJAY_MODEL_MAX_TOKENS="80") as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(10))
        terminal.kill(signal.SIGSTOP, MODEL_PROCESS)
        terminal.keys("still")
        terminal.wait_for("│ still")
        terminal.keys(ESCAPE)
        assert grown(10)(terminal.wait_for("stopped · ctrl.r answers again"))
        terminal.keys(RETRY)
        terminal.wait_for(is_over)
        _, alive = psutil.wait_procs(
            [process for process in terminal.left_behind() if _is_stopped(process)], timeout=10
        )
        assert alive == []


def _is_stopped(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def test_a_closed_terminal_leaves_no_process_behind(tmp_path: Path) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(10))
        terminal.kill(signal.SIGHUP, "tui.cli")
        terminal.wait_for_end(within=15)
        assert terminal.left_behind() == []
