"""A session's title, edited in its row."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import Input

from tui.widgets.fields import Field
from tui.widgets.rows import one_line
from tui.widgets.session_listing import SessionListing

if TYPE_CHECKING:
    from storage.records import Session


class SessionRenaming(SessionListing):
    """The editor over a row of the list."""

    def action_rename(self) -> None:
        """Edit the title of the session under the cursor, in its place."""
        if (session := self._under_cursor) is not None:
            self._renaming = session
            editor = Field(session.title, id="session-title", compact=True, select_on_focus=True)
            self.mount(editor)
            editor.focus()
            self.call_after_refresh(self._place_editor)

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
