"""Which words make a statement, and a text without the clauses that make it.

What holds no more, or is to be forgotten, must not come back through the messages that told it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.memory import words as language

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.records import Fact

FORGOTTEN = "[forgotten]"
"""Stands in a message for a clause that was struck out."""

_CLAUSE_END = re.compile(
    r"(?<=[.!?;])\s+|\s*\n\s*"
    r"|,?\s+(?:and|but|so)\s+(?=(?:i|i'm|i’m|i've|i’ve|my|we|you|your|you're|you’re)\b)",
    re.IGNORECASE,
)

_FRAME = """
    user person name call live work job live home favourite allergic prefer like love have own
    be use remember born move
"""
"""Words with which statements about a person are made, and which say nothing about this one."""


def stems(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    found = language.WORD.findall(language.folded(text))
    return frozenset(
        language.stem(word)
        for word in (word.removesuffix("'s") for word in found)
        if word not in language.STOP_WORDS
    )


def frame() -> frozenset[str]:
    """The stems that say nothing about one person."""
    return stems(_FRAME)


def point(text: str, subject: str = "") -> frozenset[str]:
    """The stems that a statement is about: a city, a number, a colour; all when it has no point."""
    whole = stems(text)
    return whole - frame() - stems(subject) or whole - stems("user") or whole


def outdated(old: Fact, new: Fact | None) -> frozenset[str]:
    """The stems that only a fact that holds no more has, and not what holds instead.

    Empty when it was only put in other words.
    """
    if new is None:
        return point(old.text, old.subject)
    return stems(old.text) - stems(new.text) - frame()


def without(text: str, words: frozenset[str], instead: str = "") -> str:
    """A text without the clauses that hold all of `words`, by their stems.

    Args:
        text: What somebody said.
        words: The stems that make the statement. With none, the text stays as it is.
        instead: What stands for such a clause.
    """
    if not words or not words <= stems(text):
        return text
    pieces: list[str] = []
    last, struck = 0, False
    for start, end in _clauses(text):
        pieces.append(text[last:start])
        if words <= stems(text[start:end]):
            pieces.append(instead)
            struck = True
        else:
            pieces.append(text[start:end])
        last = end
    # A statement that is spread over several clauses goes with all that has a part in it.
    return "".join(pieces) if struck else _without_any(text, words, instead)


def says_nothing(text: str) -> bool:
    """Whether a text has no content words left."""
    return not stems(text.replace(FORGOTTEN, ""))


def _without_any(text: str, words: Iterable[str], instead: str) -> str:
    wanted = frozenset(words)
    pieces: list[str] = []
    last = 0
    for start, end in _clauses(text):
        pieces += [
            text[last:start],
            instead if wanted & stems(text[start:end]) else text[start:end],
        ]
        last = end
    return "".join(pieces)


def _clauses(text: str) -> list[tuple[int, int]]:
    borders = [0]
    for found in _CLAUSE_END.finditer(text):
        borders += [found.start(), found.end()]
    borders.append(len(text))
    return [
        (start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if start < end
    ]
