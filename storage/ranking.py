"""Which words of a text are worth searching for, so that a whole question may be a query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from storage import query as language

if TYPE_CHECKING:
    from storage.database import Database

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


async def telling_words(database: Database, index: str, text: str) -> str:
    """An FTS5 expression for any of the words of `text` that tell the texts of `index` apart.

    These are its rarest words, as many as are cheap to rank by, and no stop words. Empty when none
    is left.
    """
    words = dict.fromkeys(
        word.lower() for word in language.words(text[: language.LONGEST_CHARACTERS])
    )
    wanted = [word for word in words if word not in _STOP_WORDS][: language.PHRASES_AT_MOST]
    if not wanted:
        return ""
    count = f"SELECT count(*) FROM (SELECT 1 FROM {index} WHERE {index} MATCH ? LIMIT ?)"
    parameters = [part for word in wanted for part in (f'"{word}"', RANKED_AT_MOST)]
    counts = await database.fetch_all(" UNION ALL ".join([count] * len(wanted)), parameters)
    telling: list[str] = []
    total = 0
    for (number,), word in sorted(zip(counts, wanted, strict=True)):
        total += number
        if telling and total > RANKED_AT_MOST:
            break
        if number:
            telling.append(f'"{word}"')
    return " OR ".join(telling)
