"""Conversations as files: Markdown to read, HTML to read and print, JSON that loses nothing.

Each comes in pieces, so that the longest conversation takes no more memory than a short one.
"""

from __future__ import annotations

import re
from datetime import datetime
from importlib import import_module
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
