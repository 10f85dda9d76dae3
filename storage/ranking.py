"""Which words of a text are worth searching for, so that a whole question may be a query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from storage import query as language

if TYPE_CHECKING:
    from collections.abc import Mapping

RANKED_AT_MOST = 2_000
"""No more texts than this are ranked; the words that would bring more are left out."""

# English words that carry no meaning of their own.
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about after all also am an and any are as at be because been but by can could did do does
        for from had has have he her him his how i if in into is it its just like me more my no not
        of on one or our out please she should so some tell than that the their them then there
        these they this those to up us was we were what when where which who why will with would
        you your
        """,
    )
)


def candidates(text: str) -> list[str]:
    """The words of a text that may tell texts apart: no stop words, each once."""
    words = dict.fromkeys(
        word.lower() for word in language.words(text[: language.LONGEST_CHARACTERS])
    )
    return [word for word in words if word not in _STOP_WORDS][: language.PHRASES_AT_MOST]


def rarest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The rarest of words, as many as are cheap to rank by, with the numbers of their texts."""
    telling: list[tuple[str, int]] = []
    total = 0
    for number, word in sorted((number, word) for word, number in counts.items()):
        total += number
        if telling and total > RANKED_AT_MOST:
            break
        if number:
            telling.append((word, number))
    return telling
