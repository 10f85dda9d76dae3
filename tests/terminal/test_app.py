"""The app on a real terminal, with real models: what a person types and sees."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.homes import environment
from tests.terminal.app import (
    ESCAPE,
    LONG_QUESTION,
    PROMPT,
    QUIT,
    RETRY,
    ROOT,
    answer_on,
    ask,
    grown,
    is_over,
    scrubjay,
)
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ollama_server import OllamaServer

OLLAMA = "ollama:smollm2:135m"


def test_a_small_window_is_enough_to_ask_and_read(tmp_path: Path) -> None:
    with scrubjay(tmp_path, columns=80, lines=24, SCRUBJAY_MODEL_MAX_TOKENS="30") as terminal:
        ask(terminal, "Say hello.")
        text = terminal.wait_for(is_over)
        assert answer_on(text)
        assert "Say hello." in text
        assert PROMPT in text


def test_the_window_may_change_its_size_while_an_answer_comes(tmp_path: Path) -> None:
    with scrubjay(tmp_path, SCRUBJAY_MODEL_MAX_TOKENS="150") as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(5))
        terminal.resize(70, 20)
        terminal.wait_for(is_over)
        terminal.resize(160, 50)
        text = terminal.wait_for(lambda text: "Quit" in text.split("\n")[-1])
        assert LONG_QUESTION in text
        assert PROMPT in text
        assert grown(20)(text)


def test_quitting_gives_the_terminal_back(tmp_path: Path) -> None:
    with scrubjay(tmp_path) as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys(QUIT)
        assert terminal.wait_for_end() == 0
        for mode in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l"):
            turned_on = mode.replace(b"l", b"h") if mode.endswith(b"l") else mode
            assert terminal.everything.rfind(mode) >= terminal.everything.rfind(turned_on) >= 0


def test_ask_shows_a_bar_while_the_model_is_fetched(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui.cli", "ask", "Say hello."]
    with Terminal(command, env=environment(tmp_path), cwd=ROOT) as terminal:
        assert terminal.wait_for_end(within=200) == 0
        assert "░" in terminal.everything.decode()
        bar, *answer = filter(None, terminal.text.splitlines())
        assert bar.endswith("█ 100% fetching smollm2-135m (93 MB), once")
        assert answer


def test_escape_stops_an_answer_and_keeps_what_has_come(tmp_path: Path) -> None:
    with scrubjay(tmp_path) as terminal:
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(8))
        terminal.keys(ESCAPE)
        text = terminal.wait_for("stopped · ctrl.r answers again")
        partial = answer_on(text)
        assert len(partial.split()) >= 8
        ask(terminal, "Say hello.")
        assert partial.split("◼")[0].strip() in " ".join(
            line.rpartition("│")[2].strip() for line in terminal.wait_for(is_over).splitlines()
        )


def test_a_server_that_dies_mid_answer_leaves_the_partial_and_a_retry_that_works(
    tmp_path: Path, ollama_server: OllamaServer
) -> None:
    with scrubjay(
        tmp_path,
        OLLAMA_HOST=ollama_server.host,
        SCRUBJAY_MODEL_DEFAULT=OLLAMA,
        SCRUBJAY_MODEL_MAX_TOKENS="150",
    ) as terminal:
        terminal.wait_for(f"● {OLLAMA}")
        ask(terminal, LONG_QUESTION)
        terminal.wait_for(grown(5))
        ollama_server.kill()
        text = terminal.wait_for("failed · ctrl.r answers again")
        partial = answer_on(text).partition("✖")[0].strip()
        assert len(partial.split()) >= 5
        assert PROMPT in text

        ollama_server.start()
        terminal.keys(RETRY)
        terminal.wait_for(lambda text: grown(5)(text) and "✖" not in text)
        terminal.wait_for(is_over, within=120)


def test_a_server_that_is_not_there_when_asked_is_told_in_the_conversation(
    tmp_path: Path, ollama_server: OllamaServer
) -> None:
    with scrubjay(
        tmp_path, OLLAMA_HOST=ollama_server.host, SCRUBJAY_MODEL_DEFAULT=OLLAMA
    ) as terminal:
        terminal.wait_for(f"● {OLLAMA}")
        ollama_server.kill()
        ask(terminal, "Are you there?")
        text = terminal.wait_for("✖")
        assert "Are you there?" in text
        assert "ollama serve" in text
        assert PROMPT in text
