"""Which words make a statement, and a text without the clauses that make it.

What holds no more, or is to be forgotten, must not come back through the messages that told it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.memory import words as language

if TYPE_CHECKING:
    from storage.records import Fact

FORGOTTEN = "[forgotten]"
"""Stands in a message for a clause that was struck out."""

_CLAUSE_END = re.compile(
    r"(?<=[.!?;])\s+|\s*\n\s*"
    r"|,?\s+(?:and|but|so)\s+(?=(?:i|i'm|i’m|i've|i’ve|my|we|you|your|you're|you’re)\b)",
    re.IGNORECASE,
)

_FRAME = """
    user person name call live work job home favourite allergic prefer like love own use born move
    say ask remember want year old longer
"""
"""Words with which statements about a person are made, and which say nothing about this one."""


def stems(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    found = language.WORD.findall(language.folded(text))
    words = (word.removesuffix("'s") for word in found)
    told = frozenset(language.stem(word) for word in words if word not in language.STOP_WORDS)
    return told - language.STOP_WORDS  # "likes" says as little as "like"


def frame() -> frozenset[str]:
    """The stems that say nothing about one person."""
    return stems(_FRAME)


def point(text: str, subject: str = "") -> frozenset[str]:
    """The stems that a statement is about: a city, a number, a colour; all when it has no point."""
    words = stems(text)
    return words - frame() - stems(subject) or whole(text) or words


def whole(text: str) -> frozenset[str]:
    """The stems that make a statement about a person, in whoever's mouth."""
    return stems(text) - stems("user said asked")


def outdated(old: Fact, new: str | None) -> frozenset[str]:
    """The stems that only a fact that holds no more has, and not the text that holds instead.

    Empty when it was only put in other words.
    """
    if new is None:
        return point(old.text, old.subject)
    return stems(old.text) - stems(new) - frame()


def names(text: str, words: frozenset[str]) -> frozenset[str]:
    """Those of `words` that are names or numbers in a text: where they stand, they are meant."""
    return frozenset(
        stem
        for place, word in enumerate(language.WORD.findall(text))
        if (place > 0 and word != word.lower()) or not word.isalpha()
        for stem in stems(word) & words
    )


def without(text: str, words: frozenset[str], instead: str = "") -> str:
    """A text without the clauses that hold all of `words`, by their stems.

    Args:
        text: What somebody said.
        words: The stems that make the statement. With none, the text stays as it is.
        instead: What stands for such a clause.
    """
    if not words or not words <= stems(text):
        return text
    clauses = [(start, end, stems(text[start:end])) for start, end in _clauses(text)]
    stated = [words <= said for _, _, said in clauses]
    if not any(stated):
        # A statement that is spread over several clauses goes with all that has a part in it.
        stated = [bool(words & said) for _, _, said in clauses]
    pieces: list[str] = []
    last = 0
    for (start, end, _), struck in zip(clauses, stated, strict=True):
        if not struck:
            pieces.append(text[last if pieces else start : end])
        elif instead:
            pieces += [text[last:start], instead]
        last = end
    return "".join(pieces)


def says_nothing(text: str) -> bool:
    """Whether a text has no content words left."""
    return not stems(text.replace(FORGOTTEN, ""))


def _clauses(text: str) -> list[tuple[int, int]]:
    borders = [0]
    for found in _CLAUSE_END.finditer(text):
        borders += [found.start(), found.end()]
    borders.append(len(text))
    return [
        (start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if start < end
    ]
