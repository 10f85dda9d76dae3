"""Hacker News: the stories that Algolia's search finds, and the pages that they are about.

https://hn.algolia.com/api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engine.research.errors import FetchError
from engine.research.sources.base import Query, Reach, Source, as_found
from engine.research.sources.pages import read_page
from engine.research.words import clean_title, plain
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class HackerNews(Source):
    """Looks through the stories."""

    name: ClassVar[str] = "hacker news"

    def __init__(self, base_url: str, *, named: bool, limit: int) -> None:
        self._base = base_url.rstrip("/")
        self._named = named
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Search each topic, then read the stories' pages at once."""
        stories: dict[str, dict[str, Any]] = {}
        searches = (self._search(topic, reach) for topic in query.topics)
        async for hits in as_found(searches, reach.notes):
            for hit in hits:
                stories.setdefault(str(hit.get("objectID")), hit)
        wanted = list(stories.values())[: self._limit]
        async for draft in as_found((self._story(hit, reach) for hit in wanted), reach.notes):
            yield draft

    async def _search(self, topic: str, reach: Reach) -> list[dict[str, Any]]:
        page = await reach.fetcher.get(
            f"{self._base}/api/v1/search",
            {
                "query": topic,
                "tags": "story",
                "hitsPerPage": self._limit,
                "removeWordsIfNoResults": "allOptional",
            },
            named=self._named,
        )
        try:
            return [hit for hit in page.json()["hits"] if hit.get("title")]
        except (KeyError, TypeError, AttributeError):
            raise FetchError("unreadable", "answered something else than hits") from None

    async def _story(self, hit: dict[str, Any], reach: Reach) -> Draft:
        discussion = f"https://news.ycombinator.com/item?id={hit.get('objectID')}"
        url, text = str(hit.get("url") or discussion), plain(str(hit.get("story_text") or ""))
        if not text and hit.get("url"):
            try:
                _, page = await read_page(url, reach)
                text = page.text
            except FetchError as error:  # its title still says something
                reach.notes.append(f"a linked page {error}")
        created = hit.get("created_at_i")
        return Draft(
            url=url,
            source=self.name,
            title=clean_title(str(hit["title"])),
            text=text,
            author=clean_title(str(hit.get("author") or "")),
            published_at=float(created) if isinstance(created, int) else None,
        )
