"""What the stores' SQL and values become on their way to PostgreSQL, and back.

The stores speak SQLite's SQL. Most of it is everybody's; the rest is a handful of spellings, told
here, and of functions, which the first migration makes.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from psycopg.types.numeric import FloatLoader
from psycopg.types.string import StrDumper, TextLoader

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer

_SPELLINGS = [
    (re.compile(r"%"), "%%"),
    (re.compile(r"\?"), "%s"),
    (re.compile(r"(?<![:\w]):([a-z_]+)"), r"%(\1)s"),
    # Equality that knows NULL.
    (re.compile(r"\bIS NOT (?=%|[a-z_]+\.)"), "IS DISTINCT FROM "),
    (re.compile(r"\bIS (?=%|[a-z_]+\.|\(SELECT)"), "IS NOT DISTINCT FROM "),
    # Hints for SQLite's planner.
    (re.compile(r"\bCROSS JOIN\b"), "JOIN"),
    (re.compile(r"\bINDEXED BY \w+"), ""),
]


@functools.lru_cache(maxsize=1024)
def translated(sql: str) -> str:
    """A statement of the stores in PostgreSQL's spelling, with psycopg's placeholders."""
    parts = re.split(r"('[^']*')", sql)
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = part.replace("%", "%%")
            continue
        for pattern, spelling in _SPELLINGS:
            part = pattern.sub(spelling, part)
        parts[place] = part
    return "".join(parts)


# PostgreSQL's texts hold no U+0000. It is kept as U+001A and 0, and U+001A itself as it and 1:
# both are rare, every text comes back as it was, and what begins with a text still does.
_ESCAPE = "\x1a"


def escaped(text: str) -> str:
    """A text as it is kept. Lone surrogates, which no encoding has, are replaced."""
    if text.isascii():
        if "\0" not in text and _ESCAPE not in text:
            return text
    else:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace(_ESCAPE, _ESCAPE + "1").replace("\0", _ESCAPE + "0")


def unescaped(text: str) -> str:
    """The text that was kept."""
    if _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE + "0", "\0").replace(_ESCAPE + "1", _ESCAPE)


class _TextDumper(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escaped(str(obj)))


class _TextLoader(TextLoader):
    def load(self, data: Buffer) -> Any:
        text = super().load(data)
        return unescaped(text) if isinstance(text, str) else text


def adapt(context: AdaptContext) -> None:
    """Let a connection send and bring back values as the stores know them."""
    adapters = context.adapters
    assert adapters is not None
    adapters.register_dumper(str, _TextDumper)
    adapters.register_loader("text", _TextLoader)
    # Sums of whole numbers come as numeric.
    adapters.register_loader("numeric", FloatLoader)
