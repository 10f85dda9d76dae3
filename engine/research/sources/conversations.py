"""What is kept already: the user's other conversations, and articles of earlier research."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.research.citations import has_sources
from engine.research.sources.base import Query, Reach, Source
from engine.research.words import clean, clean_title
from storage.articles import Draft
from storage.records import Role

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from storage.store import Store


class Conversations(Source):
    """Looks through the messages of other sessions."""

    name: ClassVar[str] = "conversations"
    local: ClassVar[bool] = True

    def __init__(self, store: Store, *, limit: int) -> None:
        self._store = store
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Yield the messages that share most with the question, but for questions like it.

        An answer that cites articles is no source beside them: `Kept` has those.
        """
        found = await self._store.search.messages(
            query.question, exclude_session=query.session_id, limit=self._limit
        )
        own = await self._store.recall_source.may_tell(
            [message.id for message, _ in found], in_session=query.session_id
        )
        for message, _ in found:
            if message.id not in own:
                continue
            if message.role is Role.USER and message.content.rstrip().endswith("?"):
                continue
            if message.role is Role.ASSISTANT and has_sources(message.content):
                continue
            session = await self._store.sessions.get(message.session_id)
            title = session.title if session else ""
            yield Draft(
                url=f"session:{message.session_id}#{message.id}",
                source=self.name,
                title=clean_title(title) or "An earlier conversation",
                text=clean(message.content),
                author="you" if message.role is Role.USER else "the assistant",
                published_at=message.created_at,
            )


class Kept(Source):
    """Looks through the articles that were found for earlier questions."""

    name: ClassVar[str] = "kept"
    local: ClassVar[bool] = True

    def __init__(self, store: Store, *, limit: int) -> None:
        self._store = store
        self._limit = limit

    async def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Yield the articles that share most with the question, of the same person's sessions."""
        asking = await self._store.sessions.get(query.session_id)
        wanted = " ".join([query.question, *query.topics])
        for article in await self._store.articles.search(wanted, limit=self._limit):
            if article.url.startswith("session:"):  # a message, which may be forgotten by now
                continue
            session = await self._store.sessions.get(article.session_id)
            if session is None or session.user_id != (asking.user_id if asking else None):
                continue
            yield Draft(
                url=article.url,
                source=article.source,
                title=article.title,
                text=article.text,
                author=article.author,
                published_at=article.published_at,
            )
