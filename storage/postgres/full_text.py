"""Words by tsvector: a column `words` and a GIN index in every table that is searched.

What a word is, and which letters are the same, the functions of the first migration say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from storage import ranking
from storage.full_text import TABLES, FullText, Match, Searched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.query import Phrase, Query
    from storage.sql import Sql


class PostgresFullText(FullText):
    """Finds texts by tsvector, and ranks them as BM25 does."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    def fitting(self, searched: Searched, query: Query) -> Match:
        """See `FullText.fitting`."""
        last = len(query.phrases) - 1
        phrases = [
            (" ".join(phrase), query.unfinished and place == last)
            for place, phrase in enumerate(query.phrases)
        ]
        wanted = " && ".join(["phrase(?, ?)"] * len(phrases))
        parts = [part for phrase in phrases for part in phrase]
        score = " + ".join(["fit({words}, phrase(?, ?))"] * len(phrases))
        return _match(searched, wanted, parts, score, parts)

    def any_of(self, searched: Searched, words: Sequence[tuple[str, int]], total: int) -> Match:
        """See `FullText.any_of`."""
        wanted = " || ".join(["phrase(?, FALSE)"] * len(words))
        score = " + ".join(["? * fit({words}, phrase(?, FALSE))"] * len(words))
        weights = [
            (math.log(1 + (max(total, number) - number + 0.5) / (number + 0.5)), word)
            for word, number in words
        ]
        parts = [part for weight in weights for part in weight]
        return _match(searched, wanted, [word for word, _ in words], score, parts)

    def beginnings(self, searched: Searched, words: Sequence[Sequence[str]]) -> Match:
        """See `FullText.beginnings`."""
        wanted = " && ".join(f"({' || '.join(['phrase(?, TRUE)'] * len(one))})" for one in words)
        return _match(searched, wanted, [beginning for one in words for beginning in one])

    async def counts(
        self, searched: Searched, phrases: Sequence[Phrase], at_most: int
    ) -> tuple[list[int], int]:
        """See `FullText.counts`."""
        table, alias = TABLES[searched]
        count = (
            f"(SELECT count(*) FROM (SELECT 1 FROM {table} AS {alias}"
            f" WHERE {alias}.words @@ phrase(?, FALSE) LIMIT ?) AS found)"
        )
        [row] = await self._database.fetch_all(
            f"SELECT {', '.join([count] * len(phrases))},"
            f" (SELECT coalesce(max(key), 0) FROM {table})",
            [part for phrase in phrases for part in (" ".join(phrase), at_most)],
        )
        return [int(number) for number in row[:-1]], int(row[-1])

    async def is_broad(self, searched: Searched, query: Query) -> bool:
        """See `FullText.is_broad`."""
        match, limit = self.fitting(searched, query), ranking.RANKED_AT_MOST
        [(count,)] = await self._database.fetch_all(
            f"SELECT count(*) FROM (SELECT 1 FROM {match.source} WHERE {match.condition} LIMIT ?)"
            " AS found",
            (*match.parameters, limit),
        )
        return bool(count == limit)


def _match(
    searched: Searched,
    wanted: str,
    parameters: Sequence[object],
    score: str = "0.0",
    score_parameters: Sequence[object] = (),
) -> Match:
    table, alias = TABLES[searched]
    return Match(
        source=f"{table} AS {alias}",
        condition=f"{alias}.words @@ ({wanted})",
        parameters=parameters,
        score=f"({score.replace('{words}', f'{alias}.words')})",
        score_parameters=score_parameters,
        order=f"{alias}.key",
    )
