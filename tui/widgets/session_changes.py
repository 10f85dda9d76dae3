"""What is done to the session under the cursor, or to several that are selected."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.content import Content

from tui.bindings import key_of
from tui.telling import tell
from tui.widgets.session_renaming import SessionRenaming
from tui.widgets.session_row import (
    title_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual import events

    from storage.records import Session

ARCHIVED = 500
"""Archived sessions that are listed; search finds the others."""


class SessionChanges(SessionRenaming):
    """Keys that change sessions; what was deleted can be brought back."""

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
        """Archive the chosen sessions."""
        archive = self._engine.library.archive
        self._change_all("archive", [partial(archive, s.id) for s in self._take_chosen()])

    def action_bring_back(self) -> None:
        """Bring the chosen sessions back from the archive."""
        restore = self._engine.library.restore
        self._change_all("bring back", [partial(restore, s.id) for s in self._take_chosen()])

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
            key = key_of("sessions.undo")
            self._notice.update(Content.assemble((key, "bold"), f" undo delete of {what}"))
        self.refresh_bindings()

    def on_click(self, event: events.Click) -> None:
        """The line that says what can be undone does it, too."""
        if event.widget is self._notice:
            self.action_undo()
