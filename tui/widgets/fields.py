"""Where one writes: Textual's own fields, but that what a terminal would obey is drawn as a sign.

Names of files, titles to edit and pastes come from elsewhere. Textual draws every character as it
is, so that an escape sequence in a field would reach the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.highlighter import Highlighter
from textual.widgets import Input, TextArea

from tui.harmless import with_signs

if TYPE_CHECKING:
    from rich.text import Text
    from textual.widgets.text_area import Edit, EditResult


class Field(Input):
    """A field of one line. Its value stays what was written."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.highlighter = _Signs()
        self.cursor_blink = False  # a blinking cursor is a timer that never rests

    def on_mount(self) -> None:
        """Know the screen that knows this field."""
        self._home = self.screen

    def on_unmount(self) -> None:
        """Be forgotten by the screen: it knows its fields weakly, but not what it calls of them."""
        self._home.text_selection_started_signal.unsubscribe(self)


class Area(TextArea):
    """A field of several lines. Its text stays what was written."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_blink = False  # as in a field of one line

    def edit(self, edit: Edit) -> EditResult:
        """Change the text. The cursor stays in sight, also where the text gets more rows."""
        before = self.wrapped_document.height
        result = super().edit(edit)
        if self.wrapped_document.height != before:
            # Textual scrolls to the cursor, too, but before it knows how high the text is now.
            self.call_after_refresh(self.scroll_cursor_visible)
        return result

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn."""
        line = super().get_line(line_index)
        line.plain = with_signs(line.plain)
        return line


class _Signs(Highlighter):
    def highlight(self, text: Text) -> None:
        text.plain = with_signs(text.plain)
