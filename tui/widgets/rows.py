"""A list that paints only the rows in view, whatever their number: the ground of the side panes."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from tui.bindings import named
from tui.harmless import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events


MUTED = "dim"
"""The style of what is secondary: on any ground, the cursor's too, a fainter foreground."""


class Row(NamedTuple):
    """What a `RowView` shows in one or more lines.

    Attributes:
        height: In lines.
        paint: Given the width in cells, returns the lines.
        key: What the cursor holds on to while rows come and go; None for a row it passes over.
    """

    height: int
    paint: Callable[[int], Sequence[Content]]
    key: str | None = None


class RowView(ScrollView, can_focus=True):
    """Shows rows, and a cursor on one of them.

    The cursor stays with its row's key, and the topmost visible row stays where it is, when
    `show` replaces the rows. Where there is nothing for a cursor, the keys scroll.
    """

    ALLOW_SELECT = False

    BINDINGS: ClassVar[list[BindingType]] = named(
        "rows",
        [
            Binding("up,k", "cursor(-1)", "Up", show=False),
            Binding("down,j", "cursor(1)", "Down", show=False),
            Binding("pageup", "page(-1)", "Page up", show=False),
            Binding("pagedown", "page(1)", "Page down", show=False),
            Binding("home", "first", "First", show=False),
            Binding("end", "last", "Last", show=False),
            Binding("enter", "choose", "Open", show=False),
        ],
    )

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor", "rows--hover"}

    DEFAULT_CSS = """
    RowView {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        background: transparent;
        color: $foreground;
    }
    RowView > .rows--cursor {
        background: $block-cursor-blurred-background;
        color: $block-cursor-blurred-foreground;
    }
    RowView:focus > .rows--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
    }
    RowView > .rows--hover {
        background: $block-hover-background;
    }
    """

    cursor: reactive[str | None] = reactive(None)
    """The key of the row that the cursor is on."""

    class Chosen(Message):
        """A row was chosen, by Enter or by a click."""

        def __init__(self, view: RowView, key: str) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> RowView:
            """The view that holds the row."""
            return self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._starts: list[int] = [0]
        self._index_of: dict[str, int] = {}
        self._hovered: str | None = None

    @property
    def row_width(self) -> int:
        """Cells in a line."""
        return self.scrollable_content_region.width

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows."""
        top_key, offset = self._anchor()
        before = self._index_of.get(self.cursor or "")
        self._rows = rows
        self._starts = [0, *accumulate(row.height for row in rows)]
        self._index_of = {row.key: index for index, row in enumerate(rows) if row.key is not None}
        if self.cursor not in self._index_of:
            self.cursor = self._row_near(before or 0)
        self.virtual_size = Size(self.size.width, self._starts[-1])
        if top_key in self._index_of:
            top = self._starts[self._index_of[top_key]] + offset
            self.scroll_to(y=top, animate=False, force=True)
        self.refresh()

    def region_of(self, key: str) -> Region | None:
        """Where the row is in the view's content; None when it is not there."""
        index = self._index_of.get(key)
        if index is None:
            return None
        return Region(0, self._starts[index], self.row_width, self._rows[index].height)

    def move_to(self, key: str | None) -> None:
        """Put the cursor on a row, and the row in view, if it is there."""
        if key in self._index_of:
            self._move_to(self._index_of[key])

    def repaint(self, key: str) -> None:
        """Paint one row anew, if it is there."""
        if region := self.region_of(key):
            self.refresh_lines(region.y, region.height)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.row_width
        line = self.scroll_offset.y + y
        index = bisect_right(self._starts, line) - 1
        if not 0 <= index < len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        if row.key is not None and row.key == self.cursor:
            style = self.get_visual_style("rows--cursor")
        elif row.key is not None and row.key == self._hovered:
            style = self.get_visual_style("rows--hover")
        else:
            style = self.visual_style
        content = row.paint(width)[line - self._starts[index]]
        [strip, *_] = Visual.to_strips(self, content, width, 1, style) or [Strip([])]
        return strip.adjust_cell_length(width, style.rich_style).apply_style(style.rich_style)

    def action_cursor(self, by: int) -> None:
        """Move the cursor to the next row, or scroll."""
        index = self._index_of.get(self.cursor or "")
        if index is None:
            self.scroll_relative(y=by, animate=False)
            return
        keys = range(index + by, len(self._rows) if by > 0 else -1, by)
        found = next((at for at in keys if self._rows[at].key is not None), None)
        if found is not None:
            self._move_to(found)
        elif by < 0:
            self.scroll_home(animate=False)  # the headings above the first row
        else:
            self.scroll_relative(y=by, animate=False)  # what is below the last one

    def action_page(self, by: int) -> None:
        """Move the cursor by what fits on the screen."""
        region = self.region_of(self.cursor or "")
        if region is None:
            self.scroll_relative(y=by * self.size.height, animate=False)
            return
        line = min(max(0, region.y + by * self.size.height), self._starts[-1] - 1)
        key = self._row_near(bisect_right(self._starts, line) - 1)
        if key is not None:
            self._move_to(self._index_of[key])

    def action_first(self) -> None:
        """Go to the first row."""
        if (key := self._row_near(0)) is not None:
            self.cursor = key
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        """Go to the last row."""
        if (key := self._row_near(len(self._rows) - 1)) is not None:
            self.cursor = key
        self.scroll_end(animate=False)

    def action_choose(self) -> None:
        """Choose the row that the cursor is on."""
        if self.cursor in self._index_of:
            self.post_message(self.Chosen(self, self.cursor))

    def watch_cursor(self, before: str | None, now: str | None) -> None:
        """Show where the cursor is, and what can be done there."""
        for key in (before, now):
            if key is not None:
                self.repaint(key)
        if self.has_focus:
            self.refresh_bindings()

    def on_resize(self) -> None:
        """Keep the row in use in view."""
        if self.has_focus:
            self.move_to(self.cursor)

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse."""
        key = self._row_at(event.y)
        if key is not None:
            event.stop()
            self.cursor = key
            self.action_choose()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Light up the row under the mouse."""
        self._hover(self._row_at(event.y))

    def on_leave(self, event: events.Leave) -> None:
        """Nothing is under the mouse."""
        self._hover(None)

    def _hover(self, key: str | None) -> None:
        before, self._hovered = self._hovered, key
        if before != key:
            for one in (before, key):
                if one is not None:
                    self.repaint(one)

    def _move_to(self, index: int) -> None:
        self.cursor = self._rows[index].key
        self.scroll_to_region(
            Region(0, self._starts[index], self.row_width, self._rows[index].height),
            animate=False,
            force=True,
        )

    def _row_at(self, y: int) -> str | None:
        index = bisect_right(self._starts, self.scroll_offset.y + y) - 1
        return self._rows[index].key if 0 <= index < len(self._rows) else None

    def _row_near(self, index: int) -> str | None:
        """The key at an index, else the next one below, else the next one above."""
        below = (row.key for row in self._rows[index:] if row.key is not None)
        above = (row.key for row in reversed(self._rows[:index]) if row.key is not None)
        return next(below, None) or next(above, None)

    def _anchor(self) -> tuple[str | None, int]:
        """The first keyed row in view and how far the view begins below its start."""
        top = self.scroll_offset.y
        if not top:
            return None, 0  # who reads the top wants to go on doing so
        for index in range(bisect_right(self._starts, top) - 1, len(self._rows)):
            if (key := self._rows[index].key) is not None:
                return key, top - self._starts[index]
        return None, 0


def text_row(*lines: Content | str, key: str | None = None) -> Row:
    """A row of lines that fit any width."""
    contents = [line if isinstance(line, Content) else Content(line) for line in lines]
    return Row(len(contents), lambda _width: contents, key)


def one_line(text: str) -> str:
    """Somebody's text on one line, with nothing in it that a terminal would obey."""
    return " ".join(visible(text).split())


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells: filled up with spaces, or cut, which an ellipsis shows."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip()
        while cell_len(text + "…") > width:  # cutting what joins characters makes them wider
            text = text[:-1]
        text += "…"
    while (missing := width - cell_len(text)) > 0:  # a blank counts for nothing behind a joiner
        text += " " * missing
    return text
