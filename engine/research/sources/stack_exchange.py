"""Stack Exchange: questions that fit, each with its best answers (https://api.stackexchange.com)."""

from __future__ import annotations

from html import unescape
from typing import TYPE_CHECKING, Any, ClassVar

from engine.research.errors import FetchError
from engine.research.sources.base import Query, Reach, Source, as_found
from engine.research.words import clean_title, plain
from storage.articles import Draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ANSWERS = 2
"""The most answers that are read of a question."""


class StackExchange(Source):
    """Looks through one site."""

    name: ClassVar[str] = "stack exchange"

    def __init__(self, base_url: str, site: str, *, named: bool, limit: int) -> None:
        self._base = base_url.rstrip("/")
        self._site = site
        self._named = named
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Search each topic, then read the answers to all questions in one request."""
        questions: dict[int, dict[str, Any]] = {}
        searches = (
            self._items(
                "search/advanced", {"q": topic, "sort": "relevance", "pagesize": self._limit}, reach
            )
            for topic in query.topics
        )
        async for items in as_found(searches, reach.notes):
            for item in items:
                if isinstance(item.get("question_id"), int):
                    questions.setdefault(item["question_id"], item)
        wanted = list(questions)[: self._limit]
        answers = await self._answers(wanted, reach) if wanted else {}
        for number in wanted:
            yield self._draft(questions[number], answers.get(number, []))

    async def _answers(self, numbers: list[int], reach: Reach) -> dict[int, list[str]]:
        path = f"questions/{';'.join(map(str, numbers))}/answers"
        found: dict[int, list[str]] = {}
        try:
            for item in await self._items(path, {"sort": "votes", "pagesize": 30}, reach):
                texts = found.setdefault(item.get("question_id", 0), [])
                if len(texts) < ANSWERS:
                    texts.append(plain(str(item.get("body", ""))))
        except FetchError as error:  # the questions still say something
            reach.notes.append(f"the answers: {error}")
        return found

    async def _items(
        self, path: str, parameters: dict[str, str | int], reach: Reach
    ) -> list[dict[str, Any]]:
        page = await reach.fetcher.get(
            f"{self._base}/2.3/{path}",
            {"order": "desc", "site": self._site, "filter": "withbody", **parameters},
            named=self._named,
        )
        told = page.json()
        if not isinstance(told, dict) or not isinstance(told.get("items"), list):
            raise FetchError("unreadable", "answered something else than questions")
        return [item for item in told["items"] if isinstance(item, dict)]

    def _draft(self, item: dict[str, Any], answers: list[str]) -> Draft:
        owner = item.get("owner")
        created = item.get("creation_date")
        return Draft(
            url=str(item.get("link") or f"{self._base}/questions/{item['question_id']}"),
            source=self.name,
            title=clean_title(unescape(str(item.get("title", "")))),
            text="\n\n".join(
                [plain(str(item.get("body", ""))), *(f"Answer: {text}" for text in answers)]
            ),
            author=clean_title(
                unescape(str(owner.get("display_name", ""))) if isinstance(owner, dict) else ""
            ),
            published_at=float(created) if isinstance(created, int) else None,
        )
