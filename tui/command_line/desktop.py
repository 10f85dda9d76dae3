"""`scrubjay desktop`: an entry in the desktop's menu, with the icon.

https://specifications.freedesktop.org/desktop-entry-spec/ and the icon theme specification beside
it say where both lie.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import assets
from tui.command_line.console import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse

ICONS = Path(assets.__file__).parent / "icons"


def desktop(options: argparse.Namespace) -> int:
    """Do what `scrubjay desktop ACTION` asks for.

    Raises:
        CommandError: This system has no such menu, or its folders can't be written.
    """
    if sys.platform in ("darwin", "win32"):
        raise CommandError("This system has no menu of freedesktop.org's kind.")
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    entry = data / "applications" / "scrubjay.desktop"
    icon = data / "icons" / "hicolor" / "scalable" / "apps" / "scrubjay.svg"
    try:
        if options.action == "install":
            for file in (entry, icon):
                file.parent.mkdir(parents=True, exist_ok=True)
            entry.write_text(_entry(_command()), encoding="utf-8")
            shutil.copyfile(ICONS / "scrubjay.svg", icon)
            say(f"Scrubjay is in the menu: {entry}")
        else:
            for file in (entry, icon):
                file.unlink(missing_ok=True)
            say("Scrubjay is no longer in the menu.")
    except OSError as error:
        raise CommandError(
            f"{error.filename} can't be written: {error.strerror}.",
            "Give yourself write permission, or set XDG_DATA_HOME to a folder of your own.",
        ) from error
    return Exit.DONE


def _entry(command: str) -> str:
    """The entry that ships with the program, with the command by its whole path.

    A menu need not know the path on which a shell finds it.
    """
    text = (ICONS / "scrubjay.desktop").read_text(encoding="utf-8")
    # Quoted as the specification wants an argument, and escaped once more, as any string in a file.
    quoted = re.sub(r'["`$\\]', r"\\\g<0>", command).replace("\\", "\\\\").replace("%", "%%")
    return re.sub(r"^Exec=\S+", lambda _: f'Exec="{quoted}"', text, flags=re.MULTILINE)


def _command() -> str:
    """Where this program lies."""
    beside = Path(sys.executable).with_name("scrubjay")
    found = str(beside) if beside.is_file() else shutil.which("scrubjay")
    if found is None:
        raise CommandError("The command `scrubjay` is nowhere to be found.", "Install Scrubjay.")
    return found
