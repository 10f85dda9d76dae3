"""Writing a text in the user's own editor, while the app waits behind it and works on."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import App

USUAL = ("nano", "vim", "vi")
"""Looked for where neither VISUAL nor EDITOR names one."""


class EditorError(Exception):
    """The text could not be edited, and is as it was; the message says what to do."""


async def edit(app: App[Any], text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text as it was saved in the editor that VISUAL or EDITOR names.

    Answers go on meanwhile, unseen: the app draws nothing until the editor has ended.

    Raises:
        EditorError: There is no editor, it failed, or what it saved is no text.
    """
    command = _command(environ)
    with tempfile.TemporaryDirectory(prefix="scrubjay-") as folder:
        file = Path(folder) / "message.md"
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        try:
            with app.suspend(), app.batch_update():
                process = await asyncio.create_subprocess_exec(*command, str(file))
                code = await process.wait()
        except SuspendNotSupported:
            raise EditorError("An editor can't be opened in this kind of terminal.") from None
        except OSError as error:
            raise EditorError(
                f"{command[0]} could not be started: {error.strerror}. Set EDITOR to your editor."
            ) from None
        if code:
            raise EditorError(f"{command[0]} ended with code {code}; the text is as it was.")
        try:
            return (await asyncio.to_thread(file.read_text, encoding="utf-8")).rstrip("\n")
        except (OSError, UnicodeDecodeError):
            raise EditorError(f"What {command[0]} saved can't be read as text.") from None


def _command(environ: Mapping[str, str]) -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        if words := shlex.split(environ.get(name, "")):
            return words
    for name in USUAL:
        if shutil.which(name):
            return [name]
    raise EditorError("There is no editor. Set EDITOR to one, such as `export EDITOR=nano`.")
