"""Shell completions and the manual page are made from the parser, and know all of it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.tools import manpage
from tui.command_line.arguments import build_parser
from tui.command_line.completions import SHELLS, levels, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scrubjay

COMPLETE = """
scrubjay() { echo '019abc  2026-01-01 10:00   2 messages  Birds of the north'; }
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


@pytest.mark.parametrize(
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
        (["ask", "--model", "x"], [""]),
        (["backup", "notes"], ["notes.txt"]),
        (["sessions", "import", "--format", "chatgpt", "notes"], ["notes.txt"]),
    ],
)
def test_bash_offers_what_may_come_next(
    tmp_path: Path, words: list[str], offered: list[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    file = tmp_path / "completion.bash"
    file.write_text(script("bash", build_parser()))
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", str(file), *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert (done.stdout.splitlines(), done.stderr) == (offered, "")


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
