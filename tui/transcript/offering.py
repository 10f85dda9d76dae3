"""Whether there is anything in a message that its reader can copy or open."""

from __future__ import annotations

from functools import lru_cache

from engine.research.citations import has_sources
from tui.transcript import markdown

LONGEST = 20_000
"""Characters that are looked through to tell; in a longer text there may be anything."""


@lru_cache(maxsize=8)
def has_code(content: str) -> bool:
    """Whether there is a block of code, as far as that is soon told."""
    return len(content) > LONGEST or bool(markdown.code_blocks(content))


@lru_cache(maxsize=8)
def has_links(content: str) -> bool:
    """Whether there is a link or the number of an article, as far as that is soon told."""
    return len(content) > LONGEST or has_sources(content) or bool(markdown.links(content))
