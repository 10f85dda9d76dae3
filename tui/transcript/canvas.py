"""The rows of a conversation on the screen: laid out, scrolled, streamed into, and drawn."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from storage.records import Finish, Message, Role
from tui.transcript import selecting
from tui.transcript.events import LoadFailed
from tui.transcript.layout import Layout
from tui.transcript.look import END, PREFIX, STYLES
from tui.transcript.pace import SOON, KeysTold, Pace
from tui.transcript.pages import Load, Pages
from tui.transcript.palette import Mark, Palette
from tui.transcript.text import Line, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from textual.selection import Selection
    from textual.timer import Timer

log = logging.getLogger(__name__)

WIDEST = 100
"""Cells of text in a row: longer rows are hard to read."""

MARGIN = 2
"""Cells on the left of every row: the bar and a space."""

AHEAD = 8
"""Messages around those on the screen that are fetched before the reader comes to them."""

NEWEST = 20
"""Messages at the end that must be there before a session is shown: more than fit on a screen."""

_NOTHING_DRAWN = (Line(()), Strip([]))


class Canvas(ScrollView):
    """A conversation of any length in one widget.

    It holds no widget a message: `render_line` draws a row when it is on the screen. Messages are
    fetched page by page, their heights are estimated until they are laid out, and corrections
    never move what the reader looks at. An answer that streams is followed only while the reader
    is at the end.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {PREFIX + name for name in STYLES}

    new_below: reactive[bool] = reactive(False, repaint=False)
    """Whether something has come under what the reader looks at."""

    def __init__(
        self, *, name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._width = self._height = 0  # of the screen, without the scrollbar
        # What was drawn for a row, good as long as the row shows the very same line.
        self._strips: LRUCache[tuple[object, ...], tuple[Line, Strip]] = LRUCache(2_000)
        self._palette: Palette | None = None
        self._details = False
        self._timer: Timer | None = None
        self._opening = Pages()
        self._reset(self._opening)

    def _reset(self, pages: Pages) -> None:
        self._layout = Layout(pages, self._text_width)
        self._layout.details = self._details
        self._following = True
        self._held: tuple[int, int] | None = None  # what to put at the top of the screen
        self._cursor: int | None = None
        self._fetching = self._fetch_failed = False
        self._pace = Pace()
        self._thumb: tuple[int, int] | None = None
        self._strips.clear()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    # The conversation

    async def open(self, total: int, load: Load) -> None:
        """Show a conversation of `total` messages, ending at the newest.

        Args:
            total: How many messages there are.
            load: Gives the messages at positions from its first argument up to its second.
                What it raises for the newest messages is raised here.
        """
        self._opening = pages = Pages(total, load)
        if wanted := pages.missing(total - NEWEST, total):
            await pages.fetch(wanted[0], wanted[-1])
        if self._opening is pages:  # and no other session meanwhile
            self._show(pages)

    def clear(self) -> None:
        """Show an empty conversation."""
        self._opening = Pages()
        self._show(self._opening)

    def _show(self, pages: Pages) -> None:
        self._deselect()
        self._reset(pages)
        self._layout.find_live(NEWEST)
        self.new_below = False
        self._arrange()
        self.refresh_bindings()

    def append(self, message: Message) -> None:
        """Add a new last message: the reader's own, or an answer that begins."""
        self._layout.append(message)
        caller = self._layout.caller(len(self._layout) - 1) if message.tool_call_id else None
        if caller is not None:
            self._relay(caller)  # the call is told with its result from now on
        if message.role is Role.USER:
            self._deselect()
            self._held = None
            self._following = True
        elif not self._follows:
            self.new_below = True
        self._arrange()

    def replace(self, message: Message) -> None:
        """Show a message in a new form: a finished answer, or another one in its place.

        A message whose id is not known takes the place at its position.
        """
        position = self._layout.position_of(message.id)
        if position is None:
            position = message.position
        if 0 <= position < len(self._layout):
            self._layout.replace(position, message)
            self._relay(position)
            self.refresh_bindings()

    def feed(self, message_id: str, text: str = "", thinking: str = "") -> None:
        """More of a streaming answer has come. It is shown at once, or with the next frame.

        The status line gives way to it.
        """
        live = self._layout.live.get(message_id)
        if live is None:
            log.debug("a delta for a message that is not streaming here: %s", message_id)
            return
        live.add(text, thinking)
        live.status = ""
        self._show_soon()

    def set_status(self, message_id: str, text: str) -> None:
        """Show one dim line under a streaming answer; an empty text removes it."""
        live = self._layout.live.get(message_id)
        if live is not None and text != live.status:
            live.status = text
            self._show_soon()

    def tell_calls(self, calls: Mapping[str, str]) -> None:
        """Take in what becomes of calls that have no result yet, by their ids."""
        self._layout.calls.update(calls)
        self._relay_all(calls.keys())

    def tell_pinned(self, pinned: frozenset[str]) -> None:
        """Take in which messages are pinned, by id."""
        changed = pinned ^ self._layout.pinned
        self._layout.pinned = pinned
        self._relay_all(changed)

    def tell_branches(self, branches: Mapping[str, tuple[int, int]]) -> None:
        """Take in which messages have alternatives, by id: their place and the number."""
        changed = set(branches.items()) ^ set(self._layout.branches.items())
        self._layout.branches = branches
        self._relay_all({message_id for message_id, _ in changed})
        self.refresh_bindings()

    def _relay_all(self, ids: Set[str]) -> None:
        for position in self._layout.laid_out(ids):
            self._relay(position)

    # Streaming

    def on_mount(self) -> None:
        """Hear of keys."""
        if isinstance(self.app, KeysTold):
            self.app.key_signal.subscribe(self, self._hear_key, immediate=True)

    def _hear_key(self, _: None) -> None:
        self._pace.key()
        if self._timer is not None:
            self._timer.stop()
            self._timer = self.set_timer(max(self._pace.seconds, SOON), self._show_news)

    def _show_soon(self) -> None:
        if self._timer is None:
            wait = self._pace.seconds
            if wait <= 0:
                self._show_news()
            else:
                self._timer = self.set_timer(wait, self._show_news)

    def _show_news(self) -> None:
        """Show what the streaming answers have got since the last time."""
        self._timer = None
        begun = perf_counter()
        for live in self._layout.live.values():
            first, top = self._layout.show_news(live, self._top)
            if first is not None:
                if not self._follows:
                    self.new_below = True
                self._arrange(top, first)
        self._pace.rendered(perf_counter() - begun)

    # Layout

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    @property
    def _follows(self) -> bool:
        # What is being selected must not slide away under the mouse.
        selecting = self.is_attached and self.text_selection is not None
        return self._following and not selecting

    @property
    def _text_width(self) -> int:
        return max(8, min(self._width - MARGIN - 1, WIDEST))

    def _visible(self) -> tuple[int, int]:
        return self._layout.visible(self._top, self._height)

    def _arrange(self, top: int | None = None, changed: int = 0) -> None:
        """Lay out what is on the screen, keep the reader's place, and draw what is new.

        Args:
            top: The row for the top of the screen, if not the one that is there.
            changed: The first row of the conversation that has changed.
        """
        if not self._height:
            return
        before = self._top
        if not self._layout:
            top = 0
        elif self._follows:
            top = self._layout.follow(self._height)
        else:
            top = before if top is None else top
            top = self._layout.settle(top, self._height, self._held)
        self._place(top)
        if self._top + self._height >= self._layout.heights.total:
            self.new_below = False
        self._layout.let_go(self._top, self._height)
        self._fetch_missing()
        first = 0 if self._top != before else max(0, changed - self._top)
        if first < self._height:
            self.refresh(Region(0, first, self.size.width, self._height - first))

    def _place(self, top: int) -> None:
        """Scroll to a row, without a layout and without taking it for the reader's doing."""
        total = self._layout.heights.total
        size = Size(self._width, total)
        if size != self.virtual_size:
            # Through the reactive it would lay out the whole screen for each streamed line.
            self.set_reactive(Widget.virtual_size, size)
        top = max(0, min(top, total - self._height))
        self.set_reactive(Widget.scroll_y, float(top))
        self.set_reactive(Widget.scroll_target_y, float(top))
        thumb = (top * self._height * 8 // total, self._height**2 * 8 // total) if total else None
        if thumb != self._thumb:  # it looks different, by an eighth of a row
            self._thumb = thumb
            self.vertical_scrollbar.window_virtual_size = total
            self.vertical_scrollbar.window_size = self._height
            self.vertical_scrollbar.position = top

    def _relay(self, position: int) -> None:
        """A message has changed: lay it out again."""
        self._arrange(self._layout.relay(position, self._top))

    def _hold(self, position: int, row: int = 0) -> None:
        """Keep a row of a message at the top until the reader moves."""
        self._following = False
        self._held = (position, row)
        self._arrange()

    def _repaint(self) -> None:
        self.refresh(self.size.region)

    # Fetching

    def _fetch_missing(self) -> None:
        """See that the messages on the screen and around it are in memory."""
        pages = self._layout.pages
        first, last = self._visible()
        pages.touch(first, last)
        if self._fetching or self._fetch_failed:
            return
        if pages.missing(first - AHEAD, last + AHEAD):
            self._fetching = True
            self.run_worker(self._fetch(pages), group="pages", exit_on_error=False)

    async def _fetch(self, pages: Pages) -> None:
        try:
            while pages is self._layout.pages:
                first, last = self._visible()
                wanted = pages.missing(first, last) or pages.missing(first - AHEAD, last + AHEAD)
                if not wanted:
                    break
                await pages.fetch(wanted[0], wanted[0])
                if pages is self._layout.pages:
                    self._arrange()
        except Exception as error:
            log.exception("messages could not be fetched")
            if pages is self._layout.pages:
                self._fetch_failed = True
                self.post_message(LoadFailed(error))
        finally:
            if pages is self._layout.pages:
                self._fetching = False

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of the screen; `crop` says which.

        A row that has been drawn before is the same strip again, and with it all that Textual keeps
        in a strip: its colours filtered, its parts, its escape codes. The general way makes new
        strips for borders and tints at every line that is scrolled.
        """
        styles = self.styles
        if styles.gutter or styles.has_rule("tint") or self.opacity < 1:
            return super().render_lines(crop)
        background = self.background_colors[1]
        filters = self.get_line_filters()
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, background)
            strips.append(strip)
        if self.size.width != self._width:  # the resize event is still on its way
            strips = [strip.adjust_cell_length(self.size.width) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """One row of the screen, `y` from its top."""
        if self._palette is None:
            self._palette = Palette(self)
        palette = self._palette
        heights = self._layout.heights
        row = self._top + y
        if row >= heights.total:
            return Strip.blank(self._width, palette.base)
        position = heights.at(row)
        strip = self._row(palette, position, row - heights.top(position))
        if self.new_below and y == self._height - 1:
            strip = self._with_marker(palette, strip)
        return strip

    def _row(self, palette: Palette, position: int, row: int) -> Strip:
        view = self._layout.view(position)
        if view is None or row >= view.height:
            waiting = Line((Span("…" if row == 0 else "", ("meta",)),))
            return palette.strip(waiting, Span("  "), self._width, 0, 0)
        line = view.lines[row]
        number = selecting.row_number(position, row)
        marks = self._marks(line, position, row)
        current = position == self._cursor and self.has_focus
        key = (number, current, marks)
        drawn, strip = self._strips.get(key, _NOTHING_DRAWN)
        if drawn is not line:
            last = row == view.height - 1
            bar = Span("  ") if last else _bar(view.message, current=current)
            measure = self._text_width + MARGIN
            strip = palette.strip(line, bar, self._width, measure, number, marks)
            self._strips.discard(key)  # setting a key again would keep the old value
            self._strips[key] = (line, strip)
        return strip

    def _marks(self, line: Line, position: int, row: int) -> tuple[Mark, ...]:
        """What is selected in a row."""
        number = selecting.row_number(position, row)
        selection = self.text_selection
        if selection is None or (span := selecting.selected_span(selection, number)) is None:
            return ()
        start, end = span
        return ((start, len(line.text) if end == -1 else end, "selection"),)

    def _with_marker(self, palette: Palette, strip: Strip) -> Strip:
        text = Line((Span(" ↓ new ", ("new",), END),))
        marker = palette.strip(text, Span(""), 7, 7, 0)
        edge = Strip.blank(1, palette.base)
        return Strip.join([strip.crop(0, self._width - 8), marker, edge])

    def notify_style_update(self) -> None:
        """The theme or the style sheet has changed."""
        super().notify_style_update()
        self._palette = None
        self._strips.clear()

    def watch_new_below(self) -> None:
        """Show or remove the marker in the last row."""
        self.refresh(Region(0, max(0, self._height - 1), self.size.width, 1))

    def on_focus(self) -> None:
        """The cursor shows."""
        self._repaint()

    def on_blur(self) -> None:
        """The cursor hides."""
        self._repaint()

    # The reader moves

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """The reader has scrolled, by whatever means."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._held = None
            self._fetch_failed = False
            self._following = round(new_value) >= self.max_scroll_y
            self._arrange()

    def on_resize(self) -> None:
        """Lay everything out again where the width has changed; keep the reader's place."""
        self._width, self._height = self.scrollable_content_region.size
        top = self._top
        if self._layout.width != self._text_width:
            self._deselect()
            top = self._layout.resize(self._text_width, top)
            if self._held is not None and self._held[1]:
                self._held = None  # that row is another one now
        self._strips.clear()
        self._arrange(top)

    # Selection and the mouse

    def _deselect(self) -> None:
        if self.is_attached and self.text_selection is not None:
            self.screen.clear_selection()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, wrapped lines joined, without bars and padding."""

        def lines_of(position: int) -> list[Line] | None:
            view = self._layout.view(position) or self._layout.draft(position)
            return view.lines if view else None

        text = selecting.selected_text(selection, len(self._layout), lines_of)
        return text.removeprefix("\n"), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """The selection was changed or removed."""
        self._layout.pages.keep_all = selection is not None
        self._repaint()


def _bar(message: Message, *, current: bool) -> Span:
    if message.finish is Finish.FAILED:
        style = "bar-failed"
    elif message.role in (Role.USER, Role.ASSISTANT):
        style = f"bar-{message.role}"
    else:
        style = "bar-other"
    return Span("┃ " if current else "│ ", (style, "bar-current") if current else (style,))
