"""Conversations as files: Markdown to read, HTML to read and print, JSON that loses nothing.

Each comes in pieces, so that the longest conversation takes no more memory than a short one.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from contextlib import aclosing
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.library import Library
    from storage.records import Session

FORMATS = {"markdown": "md", "json": "json", "html": "html"}
"""The formats, and how the names of their files end."""

LONGEST_NAME = 60


def pieces(library: Library, session: Session, format: str) -> AsyncGenerator[str]:
    """A conversation in one of `FORMATS`, piece by piece."""
    # HTML brings libraries that nobody else needs.
    module = import_module(f"engine.export.{format}")
    found: AsyncGenerator[str] = module.pieces(library, session)
    return found


def file_name(session: Session, format: str) -> str:
    """What the file of a conversation is called: its day, its title, and the end of its id."""
    day = datetime.fromtimestamp(session.created_at).astimezone()
    words = re.sub(r"[^\w]+", "-", session.title).strip("-")[:LONGEST_NAME].strip("-")
    return f"{day:%Y-%m-%d}-{words or 'untitled'}-{session.id[-8:]}.{FORMATS[format]}"


def wanted(argument: str, session: Session) -> tuple[str, Path]:
    """What `FORMAT FILE` means for a conversation: a format, and a file that need not be there.

    Either may be left out: the file's ending tells the format, and a folder, or none, gets a file
    with a name of its own.
    """
    try:
        words = shlex.split(argument)
    except ValueError:  # a quote that nothing closes belongs to the name
        words = argument.split()
    format = words.pop(0) if words and words[0] in FORMATS else ""
    file = Path(" ".join(words)).expanduser()
    if not format:
        endings = {f".{ending}": name for name, ending in FORMATS.items()}
        format = endings.get(file.suffix.lower(), "markdown")
    return format, file / file_name(session, format) if file.is_dir() else file


async def save(pieces: AsyncGenerator[str], file: Path, *, replace: bool = False) -> None:
    """Write a file that is whole or not there.

    Raises:
        FileExistsError: There is one already.
        OSError: It can't be written.
    """
    if not replace and await asyncio.to_thread(file.exists):
        raise FileExistsError(f"{file} is there already.")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        async with aclosing(pieces):
            with part.open("w", encoding="utf-8", errors="replace") as target:
                async for piece in pieces:
                    target.write(piece)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
