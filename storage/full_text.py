"""How the texts of a table are found by their words, whatever database they are in.

The stores build their queries around a `Match`; SQLite's come from FTS5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from storage import ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.query import Phrase, Query
    from storage.sql import Sql

Searched: TypeAlias = Literal["messages", "titles", "articles", "episodes", "facts", "skills"]

TABLES: dict[Searched, tuple[str, str]] = {
    "messages": ("messages", "message"),
    "titles": ("sessions", "session"),
    "articles": ("articles", "article"),
    "episodes": ("episodes", "this"),
    "facts": ("facts", "this"),
    "skills": ("skills", "this"),
}
"""What is searched: its table, and the alias that the table has in a match."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a query for the rows whose texts fit, with their parameters."""

    source: str
    """For the FROM clause."""

    condition: str
    parameters: Sequence[Any]
    score: str
    """How well a text fits, for the SELECT clause; more is better."""

    score_parameters: Sequence[Any] = ()
    order: str
    """What grows with each row that is added."""


class FullText(ABC):
    """Finds texts by their words. Case and diacritics make no difference."""

    @abstractmethod
    def fitting(self, searched: Searched, query: Query) -> Match:
        """The texts in which all phrases of a query are."""

    @abstractmethod
    def any_of(self, searched: Searched, words: Sequence[tuple[str, int]], total: int) -> Match:
        """The texts with any of these words; the rarer ones count more.

        Args:
            searched: What is looked through.
            words: Each with the number of texts that have it.
            total: How many texts there are, about.
        """

    @abstractmethod
    def beginnings(self, searched: Searched, words: Sequence[Sequence[str]]) -> Match:
        """The texts with all of `words`, each given as beginnings of which one is enough."""

    @abstractmethod
    async def counts(
        self, searched: Searched, phrases: Sequence[Phrase], at_most: int
    ) -> tuple[list[int], int]:
        """How many texts have each phrase, counted up to a number, and how many there are about."""

    @abstractmethod
    async def is_broad(self, searched: Searched, query: Query) -> bool:
        """Whether so many texts fit that they are not worth ranking."""

    async def telling(self, searched: Searched, text: str) -> Match | None:
        """The texts with any of the words of `text` that tell them apart; None if none is left.

        These are its rarest words, as many as are cheap to rank by, and no stop words.
        """
        words = ranking.candidates(text)
        if not words:
            return None
        counts, total = await self.counts(
            searched, [(word,) for word in words], ranking.RANKED_AT_MOST
        )
        telling = ranking.rarest(dict(zip(words, counts, strict=True)))
        return self.any_of(searched, telling, total) if telling else None


class SqliteFullText(FullText):
    """FTS5 (https://www.sqlite.org/fts5.html): an index `<searched>_index`, ranked by BM25."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    def fitting(self, searched: Searched, query: Query) -> Match:
        """See `FullText.fitting`."""
        match = " ".join(map(_phrase, query.phrases)) + ("*" if query.unfinished else "")
        return _match(searched, match)

    def any_of(self, searched: Searched, words: Sequence[tuple[str, int]], total: int) -> Match:
        """See `FullText.any_of`."""
        return _match(searched, " OR ".join(_quoted(word) for word, _ in words))

    def beginnings(self, searched: Searched, words: Sequence[Sequence[str]]) -> Match:
        """See `FullText.beginnings`."""
        match = " AND ".join(
            f"({' OR '.join(_quoted(beginning) + '*' for beginning in one)})" for one in words
        )
        return _match(searched, match)

    async def counts(
        self, searched: Searched, phrases: Sequence[Phrase], at_most: int
    ) -> tuple[list[int], int]:
        """See `FullText.counts`; the total is BM25's own business."""
        index = f"{searched}_index"
        count = f"SELECT count(*) FROM (SELECT 1 FROM {index} WHERE {index} MATCH ? LIMIT ?)"
        rows = await self._database.fetch_all(
            " UNION ALL ".join([count] * len(phrases)),
            [part for phrase in phrases for part in (_phrase(phrase), at_most)],
        )
        return [number for (number,) in rows], 0

    async def is_broad(self, searched: Searched, query: Query) -> bool:
        """See `FullText.is_broad`."""
        index, limit = f"{searched}_index", ranking.RANKED_AT_MOST
        [(count,)] = await self._database.fetch_all(
            f"SELECT count(*) FROM (SELECT 1 FROM {index} WHERE {index} MATCH ? LIMIT ?)",
            (*self.fitting(searched, query).parameters, limit),
        )
        return bool(count == limit)


def _match(searched: Searched, expression: str) -> Match:
    index, (table, alias) = f"{searched}_index", TABLES[searched]
    weights = ", 4.0, 1.0" if searched == "articles" else ""
    return Match(
        source=f"{index} JOIN {table} AS {alias} ON {alias}.key = {index}.rowid",
        condition=f"{index} MATCH ?",
        parameters=[expression],
        score=f"-bm25({index}{weights})",
        order=f"{index}.rowid",
    )


def _phrase(phrase: Phrase) -> str:
    return _quoted(" ".join(phrase))


def _quoted(text: str) -> str:
    """A text as an FTS5 string."""
    return '"' + text.replace('"', '""') + '"'
