"""arXiv: the abstracts that its search finds (https://info.arxiv.org/help/api/user-manual.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.research.errors import FetchError
from engine.research.sources.base import Query, Reach, Source, as_found
from engine.research.sources.xml import feed_entries
from engine.research.words import content_words
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.research.sources.xml import FeedEntry


class Arxiv(Source):
    """Looks through the preprints."""

    name: ClassVar[str] = "arxiv"

    def __init__(self, base_url: str, *, named: bool, limit: int) -> None:
        self._base = base_url.rstrip("/")
        self._named = named
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Search each topic."""
        seen: set[str] = set()
        searches = (self._search(topic, reach) for topic in query.topics)
        async for entries in as_found(searches, reach.notes):
            for entry in entries:
                if entry.url not in seen and len(seen) < self._limit:
                    seen.add(entry.url)
                    yield Draft(
                        url=entry.url,
                        source=self.name,
                        title=entry.title,
                        text=entry.text,
                        author=entry.author,
                        published_at=entry.published_at,
                    )

    async def _search(self, topic: str, reach: Reach) -> list[FeedEntry]:
        words = [word.replace('"', "") for word in content_words(topic)] or [topic]
        page = await reach.fetcher.get(
            f"{self._base}/api/query",
            {
                "search_query": " AND ".join(f'all:"{word}"' for word in words),
                "start": 0,
                "max_results": self._limit,
                "sortBy": "relevance",
            },
            named=self._named,
        )
        entries = feed_entries(page.body)
        # What is wrong with a query comes as an entry too.
        if len(entries) == 1 and "/api/errors" in entries[0].url:
            raise FetchError("status", f"answered: {entries[0].text[:100]}")
        return entries
