"""Citations: the numbers in brackets of an answer, which stand for articles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = "**Sources**"
"""Over the list that ends an answer whose numbers stand for articles."""

_CITATION = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()")
_NUMBER = re.compile(r"\d+")


def cited(answer: str) -> list[int]:
    """The numbers that an answer cites, each once, in order."""
    return list(dict.fromkeys(int(answer[start:end]) for start, end in places(answer)))


def places(text: str) -> Iterator[tuple[int, int]]:
    """Where the numbers of citations stand in a text, from the first to the last."""
    for group in _CITATION.finditer(text):
        for number in _NUMBER.finditer(text, *group.span(1)):
            yield number.span()


def unknown(answer: str, articles: int) -> list[int]:
    """The numbers that an answer cites although no article has them."""
    return [number for number in cited(answer) if not 1 <= number <= articles]


def has_sources(answer: str) -> bool:
    """Whether an answer ends with its sources, so that its numbers stand for articles."""
    return f"\n\n{SOURCES}\n\n1. " in answer
