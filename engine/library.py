"""The library: every kept conversation, and the one way to change them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.events import BranchShown, Events, SessionChanged, SessionDeleted
from engine.parameters import STATE_KEY
from engine.pins import PINNED, pinned_ids
from storage.errors import UnknownSessionError
from storage.records import TitleOrigin

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping, Sequence

    from engine.parameters import Parameters
    from storage.articles import Article, FoundArticle
    from storage.purging import Purged
    from storage.records import (
        Message,
        Placed,
        SearchHit,
        Session,
        StoreFigures,
        TakenIn,
        UsageTotals,
    )
    from storage.store import Store
    from storage.usage import Unit, UsageRow

DRAFT = "draft"
"""The key in a session's state, and of the program, that holds what is unsent."""

BACKUPS = "backups"
"""The program's key that holds where backups were written."""

ON_TOP, UNREAD, TAGS = "on_top", "unread", "tags"
"""Keys in a session's state, too."""


def tags_of(session: Session) -> tuple[str, ...]:
    """The tags on a session, in order."""
    return tuple(session.state.get(TAGS, ()))


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is being written and not sent yet."""

    text: str = ""
    pastes: dict[str, str] = {}
    """What labels within the text stand for."""


class Library:
    """Sessions and their messages, as the screen and the command line use them.

    Each change is told as an event. Every method may raise `storage.errors.StorageError`.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def sessions(
        self, *, limit: int = 50, before: Session | None = None, archived: bool = False
    ) -> Sequence[Session]:
        """The latest sessions, or archived ones, newest first; the page after `before`."""
        return await self._store.sessions.list(limit=limit, before=before, archived=archived)

    async def on_top(self) -> Sequence[Session]:
        """The sessions that are kept on top of the list, the latest first."""
        return await self._store.sessions.on_top()

    async def session(self, session_id: str) -> Session:
        """One session.

        Raises:
            UnknownSessionError: There is none of that id.
        """
        session = await self._store.sessions.get(session_id)
        if session is None:
            raise UnknownSessionError(session_id)
        return session

    async def latest(self) -> Session | None:
        """The session that was used last."""
        found = await self._store.sessions.list(limit=1)
        return found[0] if found else None

    async def create(self, *, title: str = "", model: str | None = None) -> Session:
        """A new, empty session."""
        session = await self._store.sessions.create(title=title, model=model)
        self._events.emit(SessionChanged(session=session))
        return session

    async def get_or_create(self, session_id: str) -> Session:
        """The session of that id, made now if there is none."""
        session = await self._store.sessions.get_or_create(session_id)
        self._events.emit(SessionChanged(session=session))
        return session

    async def rename(
        self, session_id: str, title: str, origin: TitleOrigin = TitleOrigin.USER
    ) -> Session:
        """Give a session a title; one that a person gave is kept against a model's."""
        session = await self._store.sessions.rename(session_id, title, origin)
        self._events.emit(SessionChanged(session=session))
        return session

    async def use_model(self, session_id: str, ref: str | None) -> Session:
        """Let a model, as `provider:name`, answer in this session; None follows the settings.

        Raises:
            UnknownSessionError: There is no such session.
        """
        session = await self.session(session_id)
        session = await self._store.sessions.save(msgspec.structs.replace(session, model=ref))
        self._events.emit(SessionChanged(session=session))
        return session

    async def keep_on_top(self, session_id: str, on_top: bool) -> Session:
        """Keep a session on top of the list, or let it go to its place."""
        return await self._set(session_id, ON_TOP, on_top or None)

    async def mark_unread(self, session_id: str, unread: bool) -> Session:
        """Note that an answer ended and nobody looked, or that somebody has."""
        return await self._set(session_id, UNREAD, unread or None)

    async def tag(self, session_id: str, tag: str) -> Session:
        """Put a tag on a session, or take it off; `tag:NAME` in a search finds it."""
        tag = "-".join(tag.lower().split())
        tags = list(tags_of(await self.session(session_id)))
        tags = [one for one in tags if one != tag] if tag in tags else sorted([*tags, tag])
        return await self._set(session_id, TAGS, tags or None)

    async def fork(self, session_id: str, message_id: str) -> Session:
        """A new session that begins with a copy of this one's messages up to one of them."""
        session = await self._store.sessions.fork(session_id, message_id)
        self._events.emit(SessionChanged(session=session))
        return session

    async def _set(self, session_id: str, key: str, value: object) -> Session:
        session = await self.session(session_id)
        if session.state.get(key) != value:
            session = await self._store.sessions.set_state(session_id, key, value)
            self._events.emit(SessionChanged(session=session))
        return session

    async def set_parameters(self, session_id: str, parameters: Parameters) -> Session:
        """Let a session have its own parameters."""
        session = await self._store.sessions.set_state(
            session_id, STATE_KEY, msgspec.to_builtins(parameters)
        )
        self._events.emit(SessionChanged(session=session))
        return session

    async def delete(self, session_id: str) -> None:
        """Take a session out of every list. `restore` brings it back until it is purged."""
        await self._store.sessions.delete(session_id)
        self._events.emit(SessionDeleted(session_id=session_id))

    async def deleted(self, before: float | None = None) -> Sequence[Session]:
        """The deleted sessions that are still kept; those that were deleted before a time."""
        return await self._store.purging.deleted(before)

    async def would_purge(self, session_ids: Sequence[str]) -> Purged:
        """How much `purge` would remove."""
        return await self._store.purging.outline(session_ids)

    async def purge(self, session_ids: Sequence[str], *, keep_facts: bool = False) -> Purged:
        """Remove sessions for good, with what was found for them and learnt from them alone.

        Afterwards `scrub` has to be called.

        Args:
            session_ids: Which, deleted before or not.
            keep_facts: Keep the facts that were learnt from them alone.
        """
        purged = await self._store.purge(session_ids, keep_facts=keep_facts)
        for session_id in session_ids:
            self._events.emit(SessionDeleted(session_id=session_id))
        return purged

    async def scrub(self) -> bool:
        """Leave no trace of what was removed; see `Store.scrub`."""
        return await self._store.scrub()

    async def vacuum(self) -> bool:
        """Give the room of what was removed back to the disk; see `Store.vacuum`."""
        return await self._store.vacuum()

    async def copies(self, session_ids: Sequence[str]) -> Sequence[Path]:
        """The known copies of the database that hold one of these sessions, or may."""
        backups = [Path(file) for file in await self._store.state(BACKUPS) or ()]
        return await self._store.purging.copies(session_ids, backups)

    async def archive(self, session_id: str) -> None:
        """Take a session out of the list and keep it; search still finds it."""
        await self._store.sessions.archive(session_id)
        self._events.emit(SessionDeleted(session_id=session_id))

    async def archive_idle(self, seconds: float) -> int:
        """Archive the sessions that were not used for so long. Returns how many those were."""
        return await self._store.sessions.expire(time.time() - seconds)

    async def restore(self, session_id: str) -> Session:
        """Undo a deletion, or bring an archived session back into the list."""
        session = await self._store.sessions.restore(session_id)
        if session.archived_at is not None:
            session = await self._store.sessions.unarchive(session_id)
        self._events.emit(SessionChanged(session=session))
        return session

    async def page(self, session_id: str, start: int, stop: int) -> Sequence[Message]:
        """The messages at positions `start` to `stop` (exclusive) of the shown branch, in order."""
        return await self._store.messages.page(session_id, start, stop)

    async def every(
        self, session_id: str, *, after: Message | None = None, limit: int = 200
    ) -> Sequence[Placed]:
        """The next `limit` messages of all branches behind `after`, by position, then by id."""
        return await self._store.messages.every(session_id, after=after, limit=limit)

    async def take_in(self, session: Session, messages: AsyncIterable[Sequence[Placed]]) -> TakenIn:
        """Keep a session from elsewhere; see `BaseSessionManager.take_in`."""
        taken = await self._store.sessions.take_in(session, messages)
        if taken.added or taken.new:
            self._events.emit(SessionChanged(session=taken.session))
        return taken

    async def take_in_articles(
        self, articles: Sequence[Article], citations: Mapping[str, Sequence[str]]
    ) -> None:
        """Keep what research found for a session from elsewhere; see `ArticleStore.take_in`."""
        await self._store.articles.take_in(articles, citations)

    async def branches(self, session_id: str) -> Mapping[str, tuple[int, int]]:
        """The shown messages with alternatives, by id: their place among them and the number."""
        return await self._store.messages.branches(session_id)

    async def show_alternative(self, message: Message, step: int) -> Message | None:
        """Show the branch through the next alternative of a message, or the one before.

        Returns:
            The alternative; None where there is none in that direction.
        """
        found = await self._store.messages.alternatives(message.id)
        place = [one.id for one in found].index(message.id) + step
        if not 0 <= place < len(found):
            return None
        await self.show(found[place])
        return found[place]

    async def show(self, message: Message) -> None:
        """Show the branch through a message."""
        await self._store.messages.show(message.id)
        await self._tell_branch(message.session_id)

    async def take_back(self, message: Message) -> None:
        """Let a session end before a message; `show` brings it and what followed back."""
        await self._store.messages.hide(message.id)
        await self._tell_branch(message.session_id)

    async def _tell_branch(self, session_id: str) -> None:
        self._events.emit(SessionChanged(session=await self.session(session_id)))
        self._events.emit(BranchShown(session_id=session_id))

    async def pin(self, message: Message) -> bool:
        """Pin a message, or let it go if it is pinned. Returns whether it is pinned now.

        Raises:
            UnknownSessionError: There is no such session.
        """
        before = pinned_ids(await self.session(message.session_id))
        after = [one for one in before if one != message.id]
        if len(after) == len(before):
            after.append(message.id)
        session = await self._store.sessions.set_state(message.session_id, PINNED, after or None)
        self._events.emit(SessionChanged(session=session))
        return message.id in after

    async def keep_image(self, data: bytes) -> str:
        """Keep an image for a message that is about to show it. Returns its SHA-256, in hex."""
        return await self._store.images.keep(data)

    async def image(self, sha256: str) -> bytes | None:
        """The bytes of an image that a message shows; None when it is not kept any more."""
        return await self._store.images.get(sha256)

    async def articles(self, session_id: str, *, limit: int | None = 100) -> Sequence[Article]:
        """What research found for a session, the most relevant first; all without a limit."""
        return await self._store.articles.of_session(session_id, limit=limit)

    async def citations(self, message_id: str) -> Mapping[int, Article]:
        """The articles that the numbers in an answer stand for."""
        return await self._store.articles.cited(message_id)

    async def search(self, query: str, *, limit: int = 30) -> Sequence[SearchHit]:
        """Sessions that hold `query`, best first. Any text is a valid query."""
        return await self._store.search.sessions(query, limit=limit)

    async def find_articles(self, query: str, *, limit: int = 10) -> Sequence[FoundArticle]:
        """Articles of any session that hold `query`, best first."""
        return await self._store.articles.find(query, limit=limit)

    async def prompts(self, prefix: str = "") -> Sequence[str]:
        """What was asked in any session and began with `prefix`, the newest first."""
        return await self._store.search.prompts(prefix)

    async def keep_draft(self, session_id: str | None, draft: Draft) -> None:
        """Keep what is being written with its session; with None, what may begin a new one."""
        if session_id is None:
            await self._store.set_state(DRAFT, msgspec.to_builtins(draft))
        else:
            await self._store.sessions.set_state(session_id, DRAFT, msgspec.to_builtins(draft))

    async def draft(self, session: Session | None) -> Draft:
        """What was being written in a session, or, with None, to begin a new one."""
        kept = await self._store.state(DRAFT) if session is None else session.state.get(DRAFT)
        return msgspec.convert(kept, Draft) if kept else Draft()

    async def usage(
        self, *, session_id: str | None = None, since: float | None = None
    ) -> UsageTotals:
        """What answers cost: of one session, since a time (seconds since the epoch), or ever."""
        return await self._store.usage(session_id=session_id, since=since)

    async def usage_by(
        self, unit: Unit, *, since: float | None = None, limit: int = 100
    ) -> Sequence[UsageRow]:
        """What answers cost by day (the latest first), by model or by session (the costliest)."""
        return await self._store.usage_by(unit, since=since, limit=limit)

    async def backup(self, file: Path) -> None:
        """Copy everything, as of now, to a new file, while answers are being written.

        Raises:
            FileExistsError: There is such a file.
        """
        await self._store.backup(file)
        known = await self._store.state(BACKUPS) or []
        made = str(await asyncio.to_thread(file.absolute))
        await self._store.set_state(BACKUPS, [*(one for one in known if one != made), made])

    async def figures(self) -> StoreFigures:
        """How much is kept."""
        return await self._store.figures()
