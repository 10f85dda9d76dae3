"""Shell completions and the manual page are made from the parser, and know all of it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.terminal.screen import Terminal
from tests.tools import manpage
from tui.command_line.arguments import build_parser
from tui.command_line.completions import SHELLS, levels, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scrubjay

COMPLETE = """
source "$1"; shift
COMP_WORDS=(scrubjay "$@") COMP_CWORD=$#
compopt() { :; }
_scrubjay
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_every_command_and_option(shell: str) -> None:
    text = script(shell, build_parser())
    for level in levels(build_parser()):
        for word in level.path.split():
            assert word in text
        for name, _ in level.options:
            told = (
                name if shell != "fish" else f"-{'l' if name[1] == '-' else 's'} {name.lstrip('-')}"
            )
            assert told in text


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_one_of_its_shell(shell: str) -> None:
    if (found := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [found, "-n"], input=script(shell, build_parser()), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


CASES = pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["se"], ["sessions"]),
        (["--se"], ["--serve"]),
        (["sessions", "ex"], ["export"]),
        (["sessions", "export", "--fo"], ["--format", "--force"]),
        (["sessions", "export", "--format", ""], ["markdown", "json", "html"]),
        (["sessions", "show", ""], ["last", "019abc"]),
        (["sessions", "export", "--all", "--format", "json", "01"], ["019abc"]),
        (["ask", "--session", "0"], ["019abc"]),
        (["ask", "--model", "x"], []),
        (["backup", "notes"], ["notes.txt"]),
        (["sessions", "import", "--format", "chatgpt", "notes"], ["notes.txt"]),
        (["sessions", "export", "-o", "notes"], ["notes.txt"]),
    ],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file to complete, and in `bin` a `scrubjay` that has one conversation."""
    (tmp_path / "notes.txt").touch()
    command = tmp_path / "bin" / "scrubjay"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\necho '019abc  2026-01-01 10:00   2 messages  Birds'\n")
    command.chmod(0o755)
    for shell in SHELLS:
        (tmp_path / f"completion.{shell}").write_text(script(shell, build_parser()))
    return tmp_path


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "ZDOTDIR": str(folder),
        "TERM": "xterm-256color",
    }


def _shell(name: str) -> str:
    if (found := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed")
    return found


@CASES
def test_bash_offers_what_may_come_next(folder: Path, words: list[str], offered: list[str]) -> None:
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", str(folder / "completion.bash"), *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env=_environment(folder),
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (offered, "")


@CASES
def test_fish_offers_what_may_come_next(folder: Path, words: list[str], offered: list[str]) -> None:
    typed = " ".join(["scrubjay", *words])
    done = subprocess.run(
        [
            *(_shell("fish"), "--no-config"),
            *("-c", f"source completion.fish; complete -C {shlex.quote(typed)}"),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        env=_environment(folder),
        check=True,
    )
    found = {line.split("\t")[0] for line in done.stdout.splitlines()}
    assert (found, done.stderr) == (set(offered), "")


@CASES
def test_zsh_offers_what_may_come_next(folder: Path, words: list[str], offered: list[str]) -> None:
    """As a person sees it: one that is possible is written, several are listed below."""
    with Terminal(
        [_shell("zsh"), "-f", "-i"], env=_environment(folder), cwd=folder, columns=100, lines=20
    ) as terminal:
        ready = "ready>"
        terminal.keys(
            "unsetopt list_ambiguous auto_menu; autoload -Uz compinit; compinit -D -u; "
            "source ./completion.zsh; clear;"
            f" PS1='{ready} '\r"
        )
        terminal.wait_for(lambda text: text.startswith(ready))
        typed = " ".join(["scrubjay", *words])
        terminal.keys(f"{typed}\t")
        if len(offered) == 1:
            whole = " ".join(["scrubjay", *words[:-1], *offered])
            terminal.wait_for(lambda text: text.startswith(f"{ready} {whole}"))
            return
        # What was typed after the key shows that the key has been dealt with.
        terminal.keys("@")
        text = terminal.wait_for("@")
        listed = {word for line in text.splitlines()[1:] for word in line.split()[:3]}
        assert listed.issuperset(offered)
        assert offered or not listed


def test_the_command_prints_it(scrubjay: Scrubjay) -> None:
    done = scrubjay.run("completions", "zsh")
    assert (done.code, done.err) == (0, "")
    assert done.out == script("zsh", build_parser())
    assert scrubjay.run("completions", "cmd").code == 2


def test_the_manual_page_is_current_and_sound() -> None:
    """Else run `python -m tests.tools.manpage`."""
    page = manpage.FILE.read_text(encoding="utf-8")
    assert page == manpage.text()
    for level in levels(build_parser()):
        assert level.path.replace("-", r"\-") in page
        for name, _ in level.options:
            assert name.replace("-", r"\-") in page
    if (groff := shutil.which("groff")) is not None:
        done = subprocess.run(
            [groff, "-man", "-Tascii", "-ww"], input=page, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
