"""`scrubjay desktop`: the entry in the menu, as freedesktop.org wants it."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tui.command_line.desktop import _entry

if TYPE_CHECKING:
    from tests.cli.conftest import Scrubjay

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the menu is that of Linux")


def test_it_is_put_into_the_menu_and_taken_out(scrubjay: Scrubjay) -> None:
    data = Path(scrubjay.environment["HOME"]) / ".local/share"
    entry = data / "applications/scrubjay.desktop"
    icon = data / "icons/hicolor/scalable/apps/scrubjay.svg"
    for _ in range(2):
        put = scrubjay.run("desktop", "install")
        assert (put.code, str(entry) in put.out) == (0, True)
    parsed = configparser.RawConfigParser()
    parsed.read(entry)
    told = dict(parsed["Desktop Entry"])
    assert (told["type"], told["terminal"], told["icon"]) == ("Application", "true", "scrubjay")
    command = told["exec"].strip('"')
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("scrubjay ")
    assert icon.read_text().lstrip().startswith("<svg")
    for _ in range(2):
        assert scrubjay.run("desktop", "uninstall").code == 0
    assert not entry.exists()
    assert not icon.exists()


def test_its_folders_may_be_elsewhere_or_not_be_writable(
    scrubjay: Scrubjay, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else"
    assert scrubjay.run("desktop", "install", XDG_DATA_HOME=str(elsewhere)).code == 0
    assert (elsewhere / "applications/scrubjay.desktop").is_file()
    refused = scrubjay.run("desktop", "install", XDG_DATA_HOME="/dev/null/data")
    assert refused.code == 1
    assert "XDG_DATA_HOME" in refused.err


def test_a_path_with_signs_that_mean_something_is_quoted() -> None:
    line = next(one for one in _entry("/a b/$x/100%").splitlines() if one.startswith("Exec"))
    assert line == r'Exec="/a b/\\$x/100%%"'
