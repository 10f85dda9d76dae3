"""RSS and Atom feeds that the user lists: the entries that share words with the question."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.research.sources.base import Query, Reach, Source, as_found, at
from engine.research.sources.xml import feed_entries
from engine.research.words import content_words
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from engine.research.sources.xml import FeedEntry


class Feeds(Source):
    """Looks through the listed feeds."""

    name: ClassVar[str] = "feeds"

    def __init__(self, feeds: Sequence[str], *, limit: int) -> None:
        self._feeds = feeds
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Read all feeds at once; of each, what fits best."""
        wanted = set(content_words(" ".join([query.question, *query.topics])))
        feeds = (at(url, _read(url, reach)) for url in self._feeds)
        async for entries in as_found(feeds, reach.notes):
            fitting = [
                (len(wanted.intersection(content_words(f"{entry.title} {entry.text}"))), entry)
                for entry in entries
            ]
            fitting.sort(key=lambda pair: -pair[0])
            for shared, entry in fitting[: self._limit]:
                if shared and entry.url:
                    yield Draft(
                        url=entry.url,
                        source=self.name,
                        title=entry.title or entry.url,
                        text=entry.text,
                        author=entry.author,
                        published_at=entry.published_at,
                    )


async def _read(url: str, reach: Reach) -> list[FeedEntry]:
    return feed_entries((await reach.fetcher.get(url, named=True)).body)
