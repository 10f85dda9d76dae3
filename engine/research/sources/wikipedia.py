"""Wikipedia: its search, and the summaries of what that finds.

https://www.mediawiki.org/wiki/API:Search and
https://en.wikipedia.org/api/rest_v1/#/Page_content/get_page_summary__title_
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from engine.research.errors import FetchError
from engine.research.sources.base import Query, Reach, Source, as_found
from engine.research.words import clean, clean_title, moment, plain
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Wikipedia(Source):
    """Looks through one Wikipedia."""

    name: ClassVar[str] = "wikipedia"

    def __init__(self, base_url: str, *, named: bool, limit: int) -> None:
        self._base = base_url.rstrip("/")
        self._named = named
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Search each topic, then read the summaries at once."""
        snippets: dict[str, str] = {}
        searches = (self._search(topic, reach) for topic in query.topics)
        async for hits in as_found(searches, reach.notes):
            for hit in hits:
                snippets.setdefault(str(hit["title"]), str(hit.get("snippet", "")))
        wanted = list(snippets)[: self._limit]
        async for draft in as_found(
            (self._summary(title, plain(snippets[title]), reach) for title in wanted), reach.notes
        ):
            yield draft

    async def _search(self, topic: str, reach: Reach) -> list[dict[str, Any]]:
        page = await reach.fetcher.get(
            f"{self._base}/w/api.php",
            {
                "action": "query",
                "list": "search",
                "srsearch": topic,
                "srlimit": self._limit,
                "format": "json",
                "formatversion": 2,
            },
            named=self._named,
        )
        try:
            return list(page.json()["query"]["search"])
        except (KeyError, TypeError):
            raise FetchError("unreadable", "answered something else than hits") from None

    async def _summary(self, title: str, snippet: str, reach: Reach) -> Draft:
        name = quote(title.replace(" ", "_"), safe="")
        page = await reach.fetcher.get(
            f"{self._base}/api/rest_v1/page/summary/{name}", named=self._named
        )
        told = page.json()
        if not isinstance(told, dict):
            raise FetchError("unreadable", "answered something else than a summary")
        extract = str(told.get("extract", ""))
        return Draft(
            url=_page_url(told) or f"{self._base}/wiki/{name}",
            source=self.name,
            title=clean_title(str(told.get("title", title))),
            text=clean(f"{extract}\n\n… {snippet} …" if snippet else extract),
            published_at=moment(str(told.get("timestamp", ""))),
        )


def _page_url(told: dict[str, Any]) -> str:
    try:
        return str(told["content_urls"]["desktop"]["page"])
    except (KeyError, TypeError):
        return ""
