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
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from engine.library import Library
    from storage.records import Session

LONGEST_NAME = 60


class Exporter(msgspec.Struct, frozen=True, kw_only=True):
    """A form that conversations are written in."""

    name: str
    """As `--format` and `/export` say it."""

    ending: str
    """How the names of its files end, without the dot."""

    pieces: Callable[[Library, Session], AsyncGenerator[str]]
    """Gives a conversation piece by piece."""


def _late(module: str, library: Library, session: Session) -> AsyncGenerator[str]:
    # HTML brings libraries that nobody else needs.
    found: AsyncGenerator[str] = import_module(f"engine.export.{module}").pieces(library, session)
    return found


BUILT_IN: Mapping[str, Exporter] = MappingProxyType(
    {
        name: Exporter(name=name, ending=ending, pieces=partial(_late, name))
        for name, ending in (("markdown", "md"), ("json", "json"), ("html", "html"))
    }
)


def file_name(session: Session, exporter: Exporter) -> str:
    """What the file of a conversation is called: its day, its title, and the end of its id."""
    day = datetime.fromtimestamp(session.created_at).astimezone()
    words = re.sub(r"[^\w]+", "-", session.title).strip("-")[:LONGEST_NAME].strip("-")
    return f"{day:%Y-%m-%d}-{words or 'untitled'}-{session.id[-8:]}.{exporter.ending}"


def wanted(
    argument: str, session: Session, exporters: Mapping[str, Exporter] = BUILT_IN
) -> tuple[Exporter, Path]:
    """What `FORMAT FILE` means for a conversation: an exporter, and a file, perhaps not there yet.

    Either may be left out: the file's ending tells the format, and a folder, or none, gets a file
    with a name of its own.
    """
    try:
        words = shlex.split(argument)
    except ValueError:  # a quote that nothing closes belongs to the name
        words = argument.split()
    exporter = exporters.get(words.pop(0)) if words and words[0] in exporters else None
    file = Path(" ".join(words)).expanduser()
    if exporter is None:
        endings = {f".{one.ending}": one for one in reversed(list(exporters.values()))}
        exporter = endings.get(file.suffix.lower(), exporters["markdown"])
    return exporter, file / file_name(session, exporter) if file.is_dir() else file


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
