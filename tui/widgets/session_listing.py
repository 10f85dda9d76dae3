"""Past sessions as rows: by day, or as a search or the archive has them, and following the news."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Static

from engine.events import (
    AnswerEnded,
    Event,
    MessageAdded,
    SessionChanged,
    SessionDeleted,
    TurnEnded,
)
from engine.library import ON_TOP, UNREAD
from engine.pool import Lane
from storage.errors import StorageError
from tui.latest import run_latest
from tui.telling import tell_error
from tui.widgets.days import Days
from tui.widgets.fields import Field
from tui.widgets.loaded_sessions import LoadedSessions
from tui.widgets.rows import MUTED, Row, RowView, text_row
from tui.widgets.session_row import (
    Mark,
    article_lines,
    heading_row,
    snippet_line,
    title_line,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from textual.app import ComposeResult
    from textual.strip import Strip

    from engine.engine import Engine
    from storage.articles import FoundArticle
    from storage.records import SearchHit, Session

PAGE = 60
"""Sessions read from the store at a time."""

PAUSE_SECONDS = 0.08
"""A search begins when nobody has typed for so long."""

HITS = 30
"""Found sessions that are shown."""

ARTICLES = 10
"""Found articles that are shown under them."""


class SessionListing(Vertical):
    """The rows and the search field. Only as much as the reader has scrolled to is ever loaded."""

    current: reactive[str | None] = reactive(None)
    """The id of the session that is open."""

    class Opened(Message, namespace="session_list"):
        """A session is to be opened, at a message if `position` is given, with `words` in it."""

        def __init__(
            self, session_id: str, position: int | None = None, words: Sequence[str] = ()
        ) -> None:
            super().__init__()
            self.session_id = session_id
            self.position = position
            self.words = words

    class NewRequested(Message, namespace="session_list"):
        """A new session is wanted."""

    def __init__(self, engine: Engine, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._engine = engine
        self._sessions = LoadedSessions()
        self._hits: list[SearchHit] | None = None
        self._articles: list[FoundArticle] = []
        """What the search found beside sessions."""

        self._before_search: str | None = None
        """Where the cursor was when the search began."""

        self._archived: list[Session] | None = None
        """The archive, while it is seen."""

        self._on_top: dict[str, Session] = {}
        self._selected: set[str] = set()
        self._deleted: list[list[Session]] = []
        """What was deleted, the last last; what was deleted together comes back together."""

        self._renaming: Session | None = None
        self._loading = False
        self._stale = False
        self._days = Days()
        self._search = Field(placeholder="Search", id="session-search", compact=True)
        self._rows = SessionRows(self)
        self._notice = Static(id="session-undo")

    def compose(self) -> ComposeResult:
        """The search field, the rows, and room for what can be undone."""
        yield self._search
        yield self._rows
        yield self._notice

    def on_mount(self) -> None:
        """Follow the engine, and load what is in view."""
        self._unsubscribe = self._engine.events.subscribe(self._take)
        self.load_more()

    def on_unmount(self) -> None:
        """Stop following the engine."""
        self._unsubscribe()

    def focus_rows(self) -> None:
        """Put the keyboard on the list."""
        self._rows.focus()

    def load_more(self) -> None:
        """Load the next page, unless that is under way or there is none."""
        if self._loading or self._sessions.complete or self._hits is not None:
            return
        self._loading = True
        self.run_worker(self._load_page(), group="load")

    async def _load_page(self) -> None:
        page = None
        with self._errors_told():
            if self._sessions.reached is None:
                on_top = await self._engine.library.on_top()
                self._on_top = {session.id: session for session in on_top}
            page = await self._engine.library.sessions(limit=PAGE, before=self._sessions.reached)
        self._loading = False
        if page is not None:
            self._sessions.add_page(page, complete=len(page) < PAGE)
            self._lay_out()

    def _take(self, event: Event) -> None:
        match event:
            case SessionChanged(session=session):
                self._sessions.change(session)
                self._change_others(session)
                self._lay_out_soon()
            case SessionDeleted(session_id=session_id):
                self._sessions.remove(session_id)
                self._on_top.pop(session_id, None)
                self._selected.discard(session_id)
                if self._hits is not None:
                    self._hits = [hit for hit in self._hits if hit.session.id != session_id]
                    self._articles = [
                        found for found in self._articles if found.article.session_id != session_id
                    ]
                self._lay_out_soon()
            case MessageAdded(message=message):
                self._rows.repaint(message.session_id)
            case AnswerEnded(message=message):
                self._rows.repaint(message.session_id)
            case TurnEnded(session_id=session_id):
                self._rows.repaint(session_id)

    def _change_others(self, session: Session) -> None:
        """Take in what has become of a session that is on top, found or archived."""
        if session.state.get(ON_TOP) and session.archived_at is None:
            self._on_top[session.id] = session
        else:
            self._on_top.pop(session.id, None)
        if self._archived is not None:
            others = [one for one in self._archived if one.id != session.id]
            self._archived = [*([session] if session.archived_at else []), *others]
        hits = self._hits or []
        for at, hit in enumerate(hits):
            if hit.session.id == session.id:
                hits[at] = msgspec.structs.replace(hit, session=session)

    def watch_current(self, before: str | None, now: str | None) -> None:
        """Mark the open session."""
        if not self.has_focus_within:
            self._rows.move_to(now)
        for session_id in (before, now):
            self._rows.repaint(session_id or "")

    def _lay_out_soon(self) -> None:
        """Lay out once for all the news that come at a time."""
        if not self._stale:
            self._stale = True
            self.call_later(self._lay_out)

    def _lay_out(self) -> None:
        self._stale = False
        self._days = Days()
        if self._hits is not None:
            rows = self._hit_rows(self._hits)
        elif self._archived is not None:
            rows = self._archive_rows(self._archived)
        else:
            rows = self._session_rows()
        self._rows.show(list(rows))
        if not self.has_focus_within and self._rows.region_of(self.current or ""):
            self._rows.cursor = self.current
        self._place_editor()

    def _session_rows(self) -> Iterator[Row]:
        begin: float | None = None
        latest = sorted(self._on_top.values(), key=lambda session: -session.updated_at)
        if latest:
            yield heading_row("Pinned", first=True)
        for session in latest:
            yield Row(1, partial(self._paint_session, session), session.id)
        for session in self._sessions:
            if session.id in self._on_top:
                continue
            if begin is None or session.updated_at < begin:
                name, start = self._days.group(session.updated_at)
                yield heading_row(name, first=begin is None and not latest)
                begin = start
            yield Row(1, partial(self._paint_session, session), session.id)
        if begin is None and not latest and self._sessions.complete:
            yield text_row(
                Content.styled(" No conversations yet.", MUTED),
                Content.styled(" Ask something to begin one.", MUTED),
            )

    def _archive_rows(self, archived: Sequence[Session]) -> Iterator[Row]:
        yield heading_row("Archived", first=True)
        if not archived:
            yield text_row(Content.styled(" Nothing is archived.", MUTED))
        for session in archived:
            yield Row(1, partial(self._paint_session, session), session.id)

    def _hit_rows(self, hits: Sequence[SearchHit]) -> Iterator[Row]:
        if not hits and not self._articles:
            yield text_row(Content.styled(" Nothing holds these words.", MUTED))
            return
        if hits:
            count = f"Best {HITS}" if len(hits) == HITS else f"{len(hits)} found"
            yield heading_row(count, first=True)
        for hit in hits:
            yield Row(2, partial(self._paint_hit, hit), hit.session.id)
        if self._articles:
            yield heading_row("In articles", first=not hits)
        for found in self._articles:
            yield Row(3, partial(article_lines, found), found.article.id)

    def _paint_session(self, session: Session, width: int) -> list[Content]:
        when = self._days.within_group(session.updated_at)
        return [title_line(session, when, self._mark(session), width)]

    def _paint_hit(self, hit: SearchHit, width: int) -> list[Content]:
        when = self._days.short(hit.session.updated_at)
        return [
            title_line(hit.session, when, self._mark(hit.session), width),
            snippet_line(hit, width),
        ]

    def _mark(self, session: Session) -> Mark:
        return Mark(
            current=session.id == self.current,
            writing=self._engine.turn(session.id) is not None,
            unread=bool(session.state.get(UNREAD)) and session.id != self.current,
            selected=session.id in self._selected,
        )

    def notice_the_day(self) -> None:
        """Name the days anew when midnight has passed since they were named."""
        if time.time() >= self._days.tomorrow:
            self._lay_out_soon()

    @property
    def _under_cursor(self) -> Session | None:
        key = self._rows.cursor or ""
        if self._hits is not None:
            return next((hit.session for hit in self._hits if hit.session.id == key), None)
        archived = next((one for one in self._archived or () if one.id == key), None)
        return archived or self._sessions.get(key) or self._on_top.get(key)

    @on(Input.Changed, "#session-search")
    def _search_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value.strip():
            run_latest(self, partial(self._find, event.value), "search")
        else:
            self.workers.cancel_group(self, "search")
            self._show_hits(None)

    async def _find(self, query: str) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        with self._errors_told():
            library = self._engine.library
            hits = await library.search(query, limit=HITS)
            self._show_hits(list(hits), list(await library.find_articles(query, limit=ARTICLES)))

    def _show_hits(
        self, hits: list[SearchHit] | None, articles: Sequence[FoundArticle] = ()
    ) -> None:
        if self._hits is None:
            self._before_search = self._rows.cursor
        self._hits, self._articles = hits, list(articles)
        self._lay_out()
        if hits is None:
            self._rows.move_to(self._before_search)
        else:
            self._rows.action_first()

    @on(Input.Submitted, "#session-search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._rows.action_choose()

    @on(RowView.Chosen)
    def _chosen(self, event: RowView.Chosen) -> None:
        event.stop()
        self._notice.display = False
        article = next((one.article for one in self._articles if one.article.id == event.key), None)
        if article is not None:
            from tui.screens.article import ArticleScreen

            self.post_message(self.Opened(article.session_id))
            self.app.push_screen(ArticleScreen(article))
            return
        found = next((hit for hit in self._hits or () if hit.session.id == event.key), None)
        if found is None:
            self.post_message(self.Opened(event.key))
        else:
            words = sorted({span.text for span in found.snippet if span.hit})
            self.post_message(self.Opened(event.key, found.position, words))

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            tell_error(self, error)

    async def _write(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do a write as a job of the pool, which sees it through even when the screen goes."""
        await self._engine.pool.submit(name, Lane.STORAGE, lambda _job: work()).result()

    @abstractmethod
    def _place_editor(self) -> None:
        """Keep the editor of a title over its row."""


class SessionRows(RowView):
    """The rows of a session list; they ask for more when their end comes into view."""

    def __init__(self, sessions: SessionListing) -> None:
        super().__init__(id="session-rows")
        self._sessions = sessions

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows."""
        super().show(rows)
        self._look_ahead()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        if y == 0:
            self._sessions.notice_the_day()
        return super().render_line(y)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Load what comes into view, and take the editor along."""
        super().watch_scroll_y(old_value, new_value)
        self._look_ahead()
        self._sessions._place_editor()

    def on_resize(self) -> None:
        """A taller list shows more."""
        self._look_ahead()

    def _look_ahead(self) -> None:
        if self.scroll_offset.y + 2 * self.size.height >= self.virtual_size.height:
            self._sessions.load_more()
