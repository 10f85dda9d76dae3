"""Articles: what research found for a session, one row a URL, and which of them an answer cites."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import msgspec

from storage import query as language
from storage.ids import new_id
from storage.ranking import RANKED_AT_MOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.records import Span
    from storage.sql import Row, Sql


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An article that is not kept yet."""

    url: str
    """Where it is, with the scheme: `https`, `file`, or `session` for a past message."""

    source: str
    """Who found it: `wikipedia`, `arxiv` …"""

    title: str
    text: str
    author: str = ""
    published_at: float | None = None
    """Seconds since the epoch; None when it is not known."""

    relevance: float | None = None
    """How well it fits the question, from 0 to 1; None before it was ranked."""

    passage: str = ""
    """The part of the text that fits the question best."""


class Article(Draft, frozen=True, kw_only=True):
    """An article of a session. Found again, it is brought up to date and keeps its id."""

    id: str
    session_id: str
    fetched_at: float


class FoundArticle(msgspec.Struct, frozen=True, kw_only=True):
    """An article that a search found."""

    article: Article
    session_title: str
    snippet: tuple[Span, ...]
    """Of the text, where the query matched if it did there."""


_COLUMNS = tuple(Article.__struct_fields__)
_ARTICLE = ", ".join(f"article.{column}" for column in _COLUMNS)
_INSERT = f"INSERT INTO articles ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_CHANGES = ", ".join(
    f"{column} = excluded.{column}"
    for column in _COLUMNS
    if column not in ("id", "session_id", "url")
)


class ArticleStore:
    """The articles of a database."""

    once = "session_id, url"
    """What makes an article the same as one that was found before."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def upsert(self, session_id: str, drafts: Sequence[Draft]) -> list[Article]:
        """Keep articles with a session, all or none; one of a known URL replaces what was kept.

        Raises:
            StorageError: They could not be kept.
        """
        now = time.time()
        kept: list[Article] = []
        async with self._database.transaction() as transaction:
            for draft in drafts:
                article = Article(
                    **msgspec.structs.asdict(draft),
                    id=new_id(),
                    session_id=session_id,
                    fetched_at=now,
                )
                [row] = await transaction.execute(
                    f"{_INSERT} ON CONFLICT ({self.once}) DO UPDATE SET {_CHANGES}"
                    f" RETURNING {', '.join(_COLUMNS)}",
                    [getattr(article, column) for column in _COLUMNS],
                )
                kept.append(_article(row))
        return kept

    async def get(self, article_id: str) -> Article | None:
        """The article with this id, or None."""
        rows = await self._database.fetch_all(
            f"SELECT {_ARTICLE} FROM articles AS article WHERE id = ?", [article_id]
        )
        return _article(rows[0]) if rows else None

    async def take_in(
        self, articles: Sequence[Article], citations: Mapping[str, Sequence[str]]
    ) -> None:
        """Keep articles that come from elsewhere with their session, and what cites them.

        What is here already stays as it is. `citations` are the ids of the articles that a
        message's numbers stand for, by the message's id; one of no article here is left out.
        """
        async with self._database.transaction() as transaction:
            await transaction.execute_many(
                f"{_INSERT} ON CONFLICT DO NOTHING",
                [[getattr(article, column) for column in _COLUMNS] for article in articles],
            )
            await transaction.execute_many(
                "INSERT INTO citations (message_id, number, article_id)"
                " SELECT ?, ?, id FROM articles WHERE id = ? ON CONFLICT DO NOTHING",
                [
                    (message_id, number, article_id)
                    for message_id, article_ids in citations.items()
                    for number, article_id in enumerate(article_ids, 1)
                ],
            )

    async def of_session(self, session_id: str, *, limit: int | None = 100) -> list[Article]:
        """The articles of a session, the most relevant first; all without a limit."""
        rows = await self._database.fetch_all(
            f"SELECT {_ARTICLE} FROM articles AS article WHERE session_id = ?"
            " ORDER BY relevance DESC NULLS LAST, key LIMIT ?",
            [session_id, sys.maxsize if limit is None else limit],
        )
        return [_article(row) for row in rows]

    async def of_conversations(self, user_id: str | None) -> list[Article]:
        """What research found in a person's own conversations: copies of messages."""
        rows = await self._database.fetch_all(
            f"SELECT {_ARTICLE} FROM articles AS article"
            " JOIN sessions AS session ON session.id = article.session_id"
            " WHERE session.user_id IS ? AND substr(article.url, 1, 8) = 'session:'"
            " ORDER BY article.key",
            [user_id],
        )
        return [_article(row) for row in rows]

    async def strike(self, article: Article) -> None:
        """Put an article in the place of what was kept under its id, for good."""
        await self._database.write(
            "UPDATE articles SET title = ?, text = ?, passage = ? WHERE id = ?",
            [article.title, article.text, article.passage, article.id],
        )

    async def search(
        self, query: str, *, session_id: str | None = None, limit: int = 10
    ) -> list[Article]:
        """The articles, of one session or of all, that share most with `query`, best first.

        One word in common is enough. Those of deleted sessions are left out.
        """
        match = await self._database.full_text.telling("articles", query)
        if match is None:
            return []
        rows = await self._database.fetch_all(
            f"""
            SELECT {_ARTICLE} FROM (
                SELECT article.key, {match.score} AS score
                FROM {match.source}
                CROSS JOIN sessions AS session ON session.id = article.session_id
                WHERE {match.condition}
                    AND session.deleted_at IS NULL
                    AND (CAST(? AS TEXT) IS NULL OR article.session_id = ?)
                ORDER BY {match.order} DESC LIMIT {RANKED_AT_MOST}
            ) AS best JOIN articles AS article ON article.key = best.key
            ORDER BY best.score DESC, article.key DESC LIMIT ?
            """,
            [*match.score_parameters, *match.parameters, session_id, session_id, limit],
        )
        return [_article(row) for row in rows]

    async def find(self, query: str, *, limit: int = 10) -> list[FoundArticle]:
        """The articles that hold all that a person typed, each URL once, the best first.

        Filters are about messages: no article fits a query that has any. Where thousands fit,
        the newest come first.
        """
        wanted = language.parse(query)
        if not wanted.phrases or wanted.filtered:
            return []
        match = self._database.full_text.fitting("articles", wanted)
        broad = await self._database.full_text.is_broad("articles", wanted)
        score, parameters = ("0.0", []) if broad else (match.score, [*match.score_parameters])
        rows = await self._database.fetch_all(
            f"""
            SELECT {_ARTICLE}, session.title FROM (
                SELECT article.key, {score} AS score FROM {match.source}
                WHERE {match.condition} ORDER BY {match.order} DESC LIMIT {RANKED_AT_MOST}
            ) AS fitting
            JOIN articles AS article ON article.key = fitting.key
            JOIN sessions AS session
                ON session.id = article.session_id AND session.deleted_at IS NULL
            ORDER BY fitting.score DESC, article.key DESC LIMIT ?
            """,
            [*parameters, *match.parameters, 4 * limit],
        )
        found: dict[str, FoundArticle] = {}
        for row in rows:
            article = _article(row[:-1])
            if article.url not in found and len(found) < limit:
                found[article.url] = FoundArticle(
                    article=article,
                    session_title=row[-1],
                    snippet=language.snippet(article.text, wanted),
                )
        return list(found.values())

    async def cite(self, message_id: str, article_ids: Sequence[str]) -> None:
        """Note which articles an answer's numbers stand for: the first is [1]."""
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM citations WHERE message_id = ?", [message_id])
            await transaction.execute_many(
                "INSERT INTO citations (message_id, number, article_id) VALUES (?, ?, ?)",
                [(message_id, number, id) for number, id in enumerate(article_ids, 1)],
            )

    async def cited(self, message_id: str) -> dict[int, Article]:
        """The articles that an answer's numbers stand for."""
        rows = await self._database.fetch_all(
            f"SELECT {_ARTICLE}, citation.number FROM citations AS citation"
            " JOIN articles AS article ON article.id = citation.article_id"
            " WHERE citation.message_id = ? ORDER BY citation.number",
            [message_id],
        )
        return {row[-1]: _article(row[:-1]) for row in rows}


def _article(row: Row) -> Article:
    return Article(**dict(zip(_COLUMNS, row, strict=True)))
