"""The list of past sessions: by day, newest first, searched as one types."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.bindings import named
from tui.widgets.session_changes import SessionChanges


class SessionList(SessionChanges):
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
            Binding("a", "bring_back", "Bring back", tooltip="Out of the archive, into the list"),
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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        if self._renaming is not None:
            return action == "back"
        match action:
            case "undo":
                return bool(self._deleted)
            case "rename":
                return self._under_cursor is not None and not self._selected
            case "archive" | "bring_back":
                in_archive = self._archived is not None
                return in_archive == (action == "bring_back") and bool(self._chosen_sessions)
            case "delete" | "on_top" | "fork" | "export" | "select":
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

    def action_move(self, unit: str, by: int) -> None:
        """Move the cursor in the list while the keyboard is on the search field."""
        if unit == "cursor":
            self._rows.action_cursor(by)
        else:
            self._rows.action_page(by)
