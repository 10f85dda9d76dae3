"""A stranger, an empty home, and the README: each step is a command or a key that stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import textual

from tests.docs.pages import ROOT, commands
from tests.embedded_weights import models_folder
from tests.homes import environment
from tests.terminal.app import ENTER, PROMPT, QUIT, is_over
from tests.terminal.screen import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

README = ROOT / "README.md"
FACT = "Remember that my jay hides acorns under the oak."
INSPECTOR, MEMORY = "\x0f", "2"


class Stranger:
    """Somebody who does nothing but what the README says."""

    def __init__(self, folder: Path) -> None:
        self.text = README.read_text(encoding="utf-8")
        self.clone = folder / "scrubjay"
        self.home = folder / "home"
        self.venv = folder / "venv"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.clone)], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(self.venv)], check=True)
        # What Scrubjay requires is here already; a fresh download of it would test the index.
        [site] = (self.venv / "lib").glob("python*/site-packages")
        (site / "dependencies.pth").write_text(f"{Path(textual.__file__).parents[1]}\n")

    @property
    def variables(self) -> Mapping[str, str]:
        return environment(
            self.home,
            PATH=f"{self.venv / 'bin'}:{os.defpath}",
            SCRUBJAY_MODELS_DIR=str(models_folder()),
            SCRUBJAY_MODEL_MAX_TOKENS="24",
        )

    def command(self, begin: str) -> str:
        """The first command of the README that begins so."""
        return next(line for line in commands(README) if line.startswith(begin))

    def does(self, command: str, where: Path | None = None) -> str:
        """Type a command that the README has; returns what it printed."""
        assert command in self.text, f"the README does not say: {command}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=where or self.home,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def opens(self) -> Terminal:
        """Open the app by its name."""
        assert "the command `scrubjay`" in " ".join(self.text.split())
        return Terminal(["scrubjay"], env=self.variables, cwd=self.home, columns=150)

    def presses(self, terminal: Terminal, shown: str, keys: str) -> None:
        """Press a key that the README names."""
        assert f"`{shown}`" in self.text, f"the README names no {shown}"
        terminal.keys(keys)


@pytest.mark.timeout(600)
def test_the_readme_leads_a_stranger_through_everything(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path)

    stranger.does("pip install .", stranger.clone)

    with stranger.opens() as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys(FACT)
        terminal.wait_for(re.escape(FACT))
        stranger.presses(terminal, "enter", ENTER)
        terminal.wait_for(is_over)
        stranger.presses(terminal, "ctrl+q", QUIT)
        assert terminal.wait_for_end() == 0

    notes = stranger.home / "notes"
    notes.mkdir()
    (notes / "jays.md").write_text("# Jays\n\nScrub jays remember what they hid, where and when.\n")
    settings = stranger.home / ".config" / "scrubjay" / "config.toml"
    assert "~/.config/scrubjay/config.toml" in stranger.text
    for line in ("[research]", 'folders = ["~/notes"]', "offline = false"):
        assert line in stranger.text
    settings.parent.mkdir(parents=True)
    settings.write_text('[research]\nfolders = ["~/notes"]\noffline = true\n')
    told = stranger.does(stranger.command("scrubjay research "))
    assert "Jays" in told

    recalled = stranger.does(stranger.command("scrubjay recall "))
    assert "acorns under the oak" in recalled
    with stranger.opens() as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys("Where do jays hide acorns?")
        terminal.wait_for("Where do jays hide acorns")
        stranger.presses(terminal, "enter", ENTER)
        terminal.wait_for(is_over)
        stranger.presses(terminal, "ctrl+o", INSPECTOR)
        terminal.wait_for(lambda text: "Send" not in text.splitlines()[-1])
        stranger.presses(terminal, "2", MEMORY)
        terminal.wait_for("under the oak")
        stranger.presses(terminal, "ctrl+q", QUIT)
        assert terminal.wait_for_end() == 0

    stranger.does(stranger.command("scrubjay sessions export "))
    page = (stranger.home / "talk.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "Where do jays hide acorns?" in page

    server = ("[mcp.servers.time]", 'command = "uvx"', 'args = ["mcp-server-time"]')
    for line in server:
        assert line in stranger.text
    # uvx would fetch the server from the index; here it is installed, and started by its own name.
    (stranger.venv / "bin" / "uvx").symlink_to(Path(sys.executable).with_name("mcp-server-time"))
    with settings.open("a") as file:
        file.write("\n".join(server[:2]) + "\n")
    assert "get_current_time" in stranger.does("scrubjay mcp list")
    with stranger.opens() as terminal:
        terminal.wait_for(PROMPT)
        terminal.keys("/mcp")
        terminal.wait_for("/mcp")
        stranger.presses(terminal, "enter", ENTER)
        terminal.wait_for(r"● time +\d+ tools")
        stranger.presses(terminal, "ctrl+q", QUIT)
        assert terminal.wait_for_end() == 0
