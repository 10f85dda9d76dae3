"""The list of past sessions: by day, newest first, searched as one types."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import on
from textual.binding import Binding, BindingType
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
from tui.bindings import named
from tui.telling import tell, tell_error
from tui.widgets.days import Days
from tui.widgets.fields import Field
from tui.widgets.loaded_sessions import LoadedSessions
from tui.widgets.rows import MUTED, Row, RowView, one_line, text_row
from tui.widgets.session_row import (
    Mark,
    article_lines,
    heading_row,
    snippet_line,
    title_line,
    title_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from textual import events
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

ARCHIVED = 500
"""Archived sessions that are listed; search finds the others."""

ARTICLES = 10
"""Found articles that are shown under them."""


class SessionList(Vertical):
    """Past sessions to open, search, rename and delete; it follows what happens to them.

    Only as much as the reader has scrolled to is ever loaded, so its cost does not depend on how
    many sessions there are.
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        "sessions",
        [
            Binding("n", "new", "New", tooltip="Begin an empty conversation"),
            Binding("slash", "search", "Search", tooltip="Find words in any conversation"),
            Binding("e", "rename", "Rename", tooltip="Edit the title in its place"),
            Binding("f2", "rename", "Rename", show=False),
            Binding("d", "delete", "Delete", tooltip="Delete at once; it can be undone"),
            Binding("delete", "delete", "Delete", show=False),
            Binding("u", "undo", "Undo delete", tooltip="Bring back what was deleted last"),
            Binding("p", "on_top", "Pin", tooltip="Keep it on top, or let it go"),
            Binding("a", "archive", "Archive", tooltip="Out of the list, and kept"),
            Binding("A", "toggle_archive", "Archived", tooltip="See what is archived, or leave it"),
            Binding("space", "select", "Select", tooltip="Let the next key be for several"),
            Binding("f", "fork", "Fork", tooltip="Go on in a copy"),
            Binding("x", "export", "Export", tooltip="Write it to a Markdown file"),
            Binding("escape", "back", "Back", show=False, tooltip="Leave the search or the editor"),
            Binding("up", "move('cursor', -1)", show=False),
            Binding("down", "move('cursor', 1)", show=False),
            Binding("pageup", "move('page', -1)", show=False),
            Binding("pagedown", "move('page', 1)", show=False),
        ],
    )

    DEFAULT_CSS = """
    SessionList {
        layers: list editor;
    }
    SessionList > Input {
        height: 1;
        border: none;
        padding: 0 1;
        background: $surface;
    }
    SessionList > Input:focus {
        border: none;
        background: $panel;
    }
    SessionList > #session-search {
        margin: 0 1 1 1;
    }
    SessionList > #session-title {
        layer: editor;
        position: absolute;
        background: $panel;
    }
    SessionList > #session-undo {
        display: none;
        height: 1;
        padding: 0 1;
        background: $warning-muted;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    current: reactive[str | None] = reactive(None)
    """The id of the session that is open."""

    class Opened(Message):
        """A session is to be opened, at a message if `position` is given."""

        def __init__(self, session_id: str, position: int | None = None) -> None:
            super().__init__()
            self.session_id = session_id
            self.position = position

    class NewRequested(Message):
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

    # News

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

    # Rows

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
        yield heading_row("Archived · a brings back · A leaves", first=True)
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

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if self._renaming is not None:
            return action == "back"
        match action:
            case "undo":
                return bool(self._deleted)
            case "rename":
                return self._under_cursor is not None and not self._selected
            case "delete" | "on_top" | "archive" | "fork" | "export" | "select":
                return bool(self._chosen_sessions)
            case "search":
                return not self._search.has_focus
            case "back":
                return (
                    self._search.has_focus
                    or self._hits is not None
                    or self._archived is not None
                    or bool(self._selected)
                    or self._notice.display
                )
        return True

    def action_new(self) -> None:
        """Ask for a new session."""
        self.post_message(self.NewRequested())

    def action_search(self) -> None:
        """Go to the search field."""
        self._search.focus()

    def action_back(self) -> None:
        """Leave the editor, or the search."""
        if self._renaming is not None:
            self._end_renaming()
            return
        if self._selected:
            self._selected.clear()
            self._lay_out()
            self.refresh_bindings()
            return
        self._notice.display = False
        self._search.value = ""
        self._archived = None
        self._show_hits(None)
        self._rows.focus()

    def action_move(self, unit: str, by: int) -> None:
        """Move the cursor in the list while the keyboard is on the search field."""
        if unit == "cursor":
            self._rows.action_cursor(by)
        else:
            self._rows.action_page(by)

    def action_select(self) -> None:
        """Let the next key be for this session too, or not; go on to the next row."""
        if (session := self._under_cursor) is not None:
            self._selected ^= {session.id}
            self._rows.repaint(session.id)
            self._rows.action_cursor(1)
            self.refresh_bindings()

    def action_delete(self) -> None:
        """Delete the selected sessions, or that under the cursor; it can be undone."""
        self.run_worker(self._delete(self._take_chosen()), group="change")

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if self._deleted:
            sessions = self._deleted.pop()
            self._tell_deleted()
            self.run_worker(self._restore(sessions), group="change")

    def action_on_top(self) -> None:
        """Keep the chosen sessions on top, or, if all are there, let them go."""
        sessions = self._take_chosen()
        on_top = not all(session.id in self._on_top for session in sessions)
        library = self._engine.library
        self._change_all("pin", [partial(library.keep_on_top, s.id, on_top) for s in sessions])

    def action_archive(self) -> None:
        """Archive the chosen sessions; from the archive, bring them back."""
        library = self._engine.library
        change = library.archive if self._archived is None else library.restore
        self._change_all("archive", [partial(change, s.id) for s in self._take_chosen()])

    def action_toggle_archive(self) -> None:
        """See the archive, or leave it."""
        if self._archived is not None:
            self.action_back()
        else:
            self.run_worker(self._open_archive(), group="load")

    async def _open_archive(self) -> None:
        with self._errors_told():
            found = await self._engine.library.sessions(limit=ARCHIVED, archived=True)
            self._archived = list(found)
            self._lay_out()
            self._rows.action_first()
            self.refresh_bindings()

    def action_fork(self) -> None:
        """Go on in a copy of the session under the cursor."""
        self.run_worker(self._fork(self._take_chosen()[0]), group="change")

    async def _fork(self, session: Session) -> None:
        with self._errors_told():
            library = self._engine.library
            end = session.message_count
            last = await library.page(session.id, end - 1, end)
            if last:
                fork = await library.fork(session.id, last[0].id)
                self.post_message(self.Opened(fork.id))

    def action_export(self) -> None:
        """Write the chosen sessions to Markdown files where the program was started."""
        self.run_worker(self._export(self._take_chosen()), group="export")

    async def _export(self, sessions: list[Session]) -> None:
        from engine import export

        written = []
        for session in sessions:
            exporter, file = export.wanted("", session)
            try:
                with self._errors_told():
                    await export.save(exporter.pieces(self._engine.library, session), file)
                    written.append(str(file))
            except OSError as error:
                why = "is there already" if isinstance(error, FileExistsError) else error.strerror
                tell(self, f"{file}: {why}.", "error")
        if written:
            tell(self, f"Exported to {', '.join(written)}")

    def _change_all(self, name: str, changes: Sequence[Callable[[], Awaitable[object]]]) -> None:
        async def change() -> None:
            with self._errors_told():
                for one in changes:
                    await self._write(f"{name} a conversation", one)

        self.run_worker(change(), group="change")

    @property
    def _chosen_sessions(self) -> list[Session]:
        """The selected sessions, else the one under the cursor."""
        if self._selected:
            hits = [hit.session for hit in self._hits or ()]
            known = [*self._sessions, *self._on_top.values(), *hits, *(self._archived or ())]
            found = {session.id: session for session in known if session.id in self._selected}
            return list(found.values())
        return [session] if (session := self._under_cursor) is not None else []

    def _take_chosen(self) -> list[Session]:
        """The chosen sessions; none is selected any more."""
        sessions = self._chosen_sessions
        self._selected.clear()
        for session in sessions:
            self._rows.repaint(session.id)
        self.refresh_bindings()
        return sessions

    def action_rename(self) -> None:
        """Edit the title of the session under the cursor, in its place."""
        if (session := self._under_cursor) is not None:
            self._renaming = session
            editor = Field(session.title, id="session-title", compact=True, select_on_focus=True)
            self.mount(editor)
            editor.focus()
            self.call_after_refresh(self._place_editor)

    @property
    def _under_cursor(self) -> Session | None:
        key = self._rows.cursor or ""
        if self._hits is not None:
            return next((hit.session for hit in self._hits if hit.session.id == key), None)
        archived = next((one for one in self._archived or () if one.id == key), None)
        return archived or self._sessions.get(key) or self._on_top.get(key)

    # Search

    @on(Input.Changed, "#session-search")
    def _search_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value.strip():
            self.run_worker(self._find(event.value), group="search", exclusive=True)
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
        self.post_message(self.Opened(event.key, found.position if found else None))

    # Renaming

    @on(Input.Submitted, "#session-title")
    def _title_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        session, title = self._renaming, one_line(event.value)
        self._end_renaming()
        if session is not None and title and title != session.title:
            self.run_worker(self._rename(session, title), group="change")

    @on(Input.Blurred, "#session-title")
    def _title_left(self, event: Input.Blurred) -> None:
        event.stop()
        if self.app.app_focus:  # another window may be where the title is copied from
            self._end_renaming(focus=False)

    def _end_renaming(self, *, focus: bool = True) -> None:
        self._renaming = None
        self.refresh_bindings()
        self.query("#session-title").remove()
        if focus:
            self._rows.focus()

    def _place_editor(self) -> None:
        """Keep the editor over its row."""
        if self._renaming is None:
            return
        row = self._rows.region_of(self._renaming.id)
        if row is None:
            self._end_renaming()
            return
        y = row.y - self._rows.scroll_offset.y
        editor = self.query_one("#session-title", Input)
        editor.visible = 0 <= y < self._rows.size.height
        editor.styles.width = self._rows.size.width
        editor.styles.offset = (0, self._rows.region.y - self.region.y + y)

    async def _rename(self, session: Session, title: str) -> None:
        with self._errors_told():
            await self._write(
                "rename a conversation", partial(self._engine.library.rename, session.id, title)
            )

    # Deleting

    async def _delete(self, sessions: list[Session]) -> None:
        library = self._engine.library
        deleted: list[Session] = []
        with self._errors_told():
            for session in sessions:
                await self._write("delete a conversation", partial(library.delete, session.id))
                deleted.append(session)
        if deleted:
            self._deleted.append(deleted)
            self._tell_deleted()

    async def _restore(self, sessions: list[Session]) -> None:
        with self._errors_told():
            for session in sessions:
                await self._write(
                    "restore a conversation", partial(self._engine.library.restore, session.id)
                )
                self._rows.move_to(session.id)

    def _tell_deleted(self) -> None:
        self._notice.display = bool(self._deleted)
        if self._deleted:
            last = self._deleted[-1]
            what = f"“{title_of(last[0])}”" if len(last) == 1 else f"{len(last)} conversations"
            self._notice.update(Content.assemble(("u", "bold"), f" undo delete of {what}"))
        self.refresh_bindings()

    def on_click(self, event: events.Click) -> None:
        """The line that says what can be undone does it, too."""
        if event.widget is self._notice:
            self.action_undo()

    # The store

    async def _write(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do a write as a job of the pool, which sees it through even when the screen goes."""
        await self._engine.pool.submit(name, Lane.STORAGE, lambda _job: work()).result()

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            tell_error(self, error)


class SessionRows(RowView):
    """The rows of a session list; they ask for more when their end comes into view."""

    def __init__(self, sessions: SessionList) -> None:
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
