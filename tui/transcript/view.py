"""The transcript: a conversation that can be read, searched, copied from and acted on by keys."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.selection import Selection

from engine.pins import can_be_pinned
from engine.research.citations import has_sources
from storage.records import Finish, Message, Role
from tui.bindings import named
from tui.transcript import events, markdown, selecting
from tui.transcript.canvas import Canvas
from tui.transcript.finding import Finder, Found, Place
from tui.transcript.layout import CALLS_BACK
from tui.transcript.look import (
    ACTION,
    CITE,
    END,
    RETRY,
    STYLE_SHEET,
    TOGGLE_FOLD,
    TOGGLE_THINKING,
)
from tui.transcript.message import Folds
from tui.transcript.offering import has_code, has_links

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.events import Click

    from tui.transcript.pages import Pages
    from tui.transcript.palette import Mark
    from tui.transcript.text import Line

log = logging.getLogger(__name__)

_RETRYABLE = (Finish.FAILED, Finish.STOPPED, Finish.INTERRUPTED)


class Transcript(Canvas, can_focus=True):
    """The conversation on the screen, and what its reader can do with it.

    Keys act on the current message: the one under the cursor, which `[` and `]` move, else the last
    one on the screen. What goes beyond the transcript is told to the screen by events.
    """

    BINDINGS: ClassVar[list[BindingType]] = named(
        "transcript",
        [
            Binding("up,k", "scroll_up", "Line up", show=False),
            Binding("down,j", "scroll_down", "Line down", show=False),
            Binding("pageup", "page_up", "Page up", show=False),
            Binding("pagedown", "page_down", "Page down", show=False),
            Binding("home,g", "scroll_home", "To the beginning", show=False),
            Binding("end,G", "scroll_end", "To the end", show=False),
            Binding(
                "alt+up,left_square_bracket", "previous_message", "Previous message", show=False
            ),
            Binding("alt+down,right_square_bracket", "next_message", "Next message", show=False),
            Binding("left_curly_bracket", "turn(-1)", "Question before", show=False),
            Binding("right_curly_bracket", "turn(1)", "Next question", show=False),
            Binding("left_parenthesis", "code(-1)", "Code before", show=False),
            Binding("right_parenthesis", "code(1)", "Next code", show=False),
            Binding("v", "mark", "Select", tooltip="Select lines; the keys that move extend it"),
            Binding("escape", "unmark", "Select no more", show=False),
            Binding("c", "copy_message", "Copy message"),
            Binding("y", "copy_code", "Copy code"),
            Binding("o", "open_link", "Open link"),
            Binding("t", "toggle_thinking", "Thinking", tooltip="What was thought before it"),
            Binding("t", "toggle_call", "Call", tooltip="A tool's call, and what came of it"),
            Binding("space", "toggle_fold", "Fold", tooltip="Fold a long message, or unfold it"),
            Binding("p", "ask('pin')", "Pin", tooltip="Keep it before the model, or let it go"),
            Binding("i", "toggle_details", "Info", tooltip="When messages came, and their tokens"),
            Binding("n", "find_next", "Next match"),
            Binding("N", "find_previous", "Previous match"),
            Binding("r", "retry", "Retry"),
            Binding("m", "ask('go_on')", "More", tooltip="Let a stopped answer go on"),
            Binding("e", "ask('edit')", "Edit", tooltip="Ask this question in other words"),
            Binding(
                "d,delete",
                "ask('take_back')",
                "Take back",
                tooltip="Take a question back, with what followed",
            ),
            Binding("less_than_sign", "ask('previous')", "Branch before"),
            Binding("greater_than_sign", "ask('next')", "Next branch"),
        ],
    )

    DEFAULT_CSS = STYLE_SHEET

    Copied: TypeAlias = events.Copied
    LinkOpened: TypeAlias = events.LinkOpened
    LinksListed: TypeAlias = events.LinksListed
    CitationOpened: TypeAlias = events.CitationOpened
    RetryRequested: TypeAlias = events.RetryRequested
    Asked: TypeAlias = events.Asked
    LoadFailed: TypeAlias = events.LoadFailed

    def _reset(self, pages: Pages) -> None:
        super()._reset(pages)
        self._finder: Finder | None = None
        self._lit: Finder | None = None
        """The words of a search elsewhere that led here."""

        self._code_copied = ("", -1)
        self._code_row = 0
        """The row of the current message where the code is that was gone to."""

        self._mark: tuple[int, int] | None = None
        """Where the selection by keys began: a position, and a row of that message."""

        self._mark_end = (0, 0)
        self._offered: str | None = None
        """The message that the keys on offer are for."""

    # Moving

    def scroll_to_message(self, position: int) -> None:
        """Bring the message at `position` to the top and put the cursor on it."""
        if 0 <= position < len(self._layout):
            self._cursor = position
            self._hold(position)

    def show_hit(self, position: int, words: Sequence[str]) -> None:
        """Bring the place of a message to the screen where a search found words, and light them up.

        They stay lit until the reader goes elsewhere.
        """
        self.scroll_to_message(position)
        self._lit = Finder(*words)
        # A transcript that was not on the screen before has no size until then.
        self.call_after_refresh(self._go_to_hit, self._lit, position)

    async def _go_to_hit(self, finder: Finder, position: int) -> None:
        try:
            await self._matches(finder, position)
        except Exception as error:
            log.exception("messages could not be fetched")
            self.post_message(self.LoadFailed(error))
            return
        view = self._layout.lay_out(position)
        row = finder.fullest(view.lines) if view else None
        if finder is self._lit and row is not None and row >= self._height - 1:
            self._hold(position, row - self._height // 3)
        self._repaint()

    def _scroll_by(self, rows: int) -> None:
        self.scroll_to(y=self._top + rows, animate=False)

    def action_scroll_up(self) -> None:
        """Scroll a line up, or select one more."""
        self._move(-1)

    def action_scroll_down(self) -> None:
        """Scroll a line down, or select one more."""
        self._move(1)

    def action_page_up(self) -> None:
        """Scroll a page up, two lines less so that the eye finds its place."""
        self._move(-self._page)

    def action_page_down(self) -> None:
        """Scroll a page down, two lines less so that the eye finds its place."""
        self._move(self._page)

    def scroll_pages(self, pages: int) -> None:
        """Scroll so many pages down, or up, whatever is selected."""
        self._scroll_by(pages * self._page)

    @property
    def _page(self) -> int:
        return self._height - 2

    def _move(self, rows: int) -> None:
        if self._mark is None:
            self._scroll_by(rows)
        else:
            self._extend(rows)

    async def action_turn(self, step: int) -> None:
        """Put the cursor on the next question, or the one before."""
        first, last = self._visible()
        start = last if step < 0 else first - 1
        if self._cursor is not None and first <= self._cursor < last:
            start = self._cursor
        await self._go_to(start, step, lambda message, _: message.role is Role.USER)

    async def action_code(self, step: int) -> None:
        """Go to the next block of code, or the one before."""
        first, last = self._visible()
        here = self._place_of(self._top) if self._cursor is None else (self._cursor, self._code_row)
        position = here[0] if first <= here[0] < last else first
        if (row := self._code_near(position, here[1], step)) is not None:
            self._show_code(position, row)
            return
        found = await self._go_to(position, step, lambda message, _: "```" in message.content)
        if found is not None:
            rows = self._code_rows(found)
            if rows:
                self._show_code(found, rows[0] if step > 0 else rows[-1])

    def _show_code(self, position: int, row: int) -> None:
        self._cursor, self._code_row = position, row
        self._hold(position, max(0, row - 1))

    def _code_near(self, position: int, row: int, step: int) -> int | None:
        """The next row, in that direction, of a message where code begins."""
        rows = self._code_rows(position)
        ahead = [r for r in rows if r > row] if step > 0 else [r for r in rows[::-1] if r < row]
        return ahead[0] if ahead else None

    def _code_rows(self, position: int) -> list[int]:
        """The rows of a message where a block of code begins."""
        view = self._layout.lay_out(position)
        if view is None:
            return []
        code = [bool(line.spans) and "code-block" in line.spans[-1].style for line in view.lines]
        return [row for row, is_code in enumerate(code) if is_code and not (row and code[row - 1])]

    async def _go_to(
        self, start: int, step: int, fits: Callable[[Message, int], bool]
    ) -> int | None:
        """Put the cursor on the next message that fits, in that direction, and return where."""
        pages = self._layout.pages
        position = start + step
        while 0 <= position < len(self._layout):
            try:
                for number in pages.missing(position, position + 1):
                    await pages.fetch(number, number)
            except Exception as error:
                log.exception("messages could not be fetched")
                self.post_message(self.LoadFailed(error))
                return None
            message = self._layout.message(position)
            if message is not None and fits(message, position):
                self._code_row = 0
                self._cursor = position
                self._hold(position)
                self.refresh_bindings()
                return position
            position += step
        return None

    # Selecting by keys

    def action_mark(self) -> None:
        """Begin to select whole lines at the top of the current message, or end it."""
        if self._mark is not None:
            self.action_unmark()
            return
        first, _ = self._visible()
        current = self._cursor if self._cursor is not None and self._cursor >= first else first
        view = self._layout.lay_out(current)
        if view is None:
            return
        top = self._layout.heights.top(current)
        row = max(self._top - top, min(view.body_start, view.height - 1))
        self._mark = self._mark_end = (current, row)
        self._extend(0)
        self.refresh_bindings()

    def action_unmark(self) -> None:
        """Select nothing any more."""
        self._mark = None
        self._deselect()
        self.refresh_bindings()

    def _extend(self, rows: int) -> None:
        """Let the selection end so many rows further down, and keep its end in view."""
        position, row = self._mark_end
        heights = self._layout.heights
        end = min(max(0, heights.top(position) + row + rows), heights.total - 1)
        position, row = self._mark_end = self._place_of(end)
        if end < self._top:
            self._hold(position, row)
        elif end >= self._top + self._height:
            self.scroll_to(y=end - self._height + 1, animate=False)
        assert self._mark is not None
        first, last = sorted((self._mark, self._mark_end))
        view = self._layout.lay_out(last[0])
        width = len(view.lines[last[1]].text) if view and last[1] < len(view.lines) else 0
        self.screen.selections = {
            self: Selection(
                Offset(0, selecting.row_number(*first)),
                Offset(width, selecting.row_number(*last)),
            )
        }

    def _place_of(self, row: int) -> tuple[int, int]:
        """The message that a row of the conversation belongs to, and the row in it."""
        position = self._layout.heights.at(row)
        return position, row - self._layout.heights.top(position)

    def action_scroll_home(self) -> None:
        """Go to the first message."""
        self.scroll_to_message(0)

    def action_scroll_end(self) -> None:
        """Go to the end, and follow it from there."""
        self._deselect()
        self._held = None
        self._cursor = None
        self._following = True
        self._arrange()

    def action_previous_message(self) -> None:
        """Put the cursor on the message before."""
        self._move_cursor(-1)

    def action_next_message(self) -> None:
        """Put the cursor on the message behind."""
        self._move_cursor(1)

    def _move_cursor(self, step: int) -> None:
        first, last = self._visible()
        if self._cursor is not None and first <= self._cursor < last:
            target = self._cursor + step
        else:
            # The first step puts the cursor on what the reader looks at.
            target = last - 1 if step < 0 else first
        if target >= len(self._layout):
            self.action_scroll_end()
        elif target >= 0:
            self._cursor = target
            top = self._layout.heights.top(target)
            bottom = top + self._layout.heights[target]
            if self._top <= top and bottom <= self._top + self._height:
                self._repaint()
            else:
                self._hold(target)
        self.refresh_bindings()

    # What can be done with a message

    @property
    def current(self) -> Message | None:
        """The message that keys act on: under the cursor, else the last one on the screen."""
        first, last = self._visible()
        if self._cursor is not None and first <= self._cursor < last:
            return self._layout.message(self._cursor)
        return self._layout.message(last - 1) if last else None

    def action_copy_message(self) -> None:
        """Copy the selected text, or the current message as it was written."""
        if selected := self.screen.get_selected_text():
            self._copy(selected, "selection")
            if self._mark is not None:
                self.action_unmark()
        elif message := self.current:
            self._copy(message.content, "message")

    def action_copy_code(self) -> None:
        """Copy a block of code of the current message; again for the next one."""
        message = self.current
        blocks = markdown.code_blocks(message.content) if message else []
        if not message or not blocks:
            return
        before, index = self._code_copied
        index = (index + 1) % len(blocks) if before == message.id else 0
        self._code_copied = (message.id, index)
        code, language = blocks[index]
        name = f"{language} code" if language else "code"
        self._copy(code, f"{name}, block {index + 1} of {len(blocks)}")

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.post_message(self.Copied(what))

    def action_open_link(self) -> None:
        """Open the link of the current message, or list its links and the articles it cites."""
        message = self.current
        found = markdown.links(message.content) if message else []
        if message is not None and (len(found) > 1 or has_sources(message.content)):
            self.post_message(self.LinksListed(found, message))
        elif found:
            self.post_message(self.LinkOpened(found[0][1]))

    def action_toggle_thinking(self) -> None:
        """Show or hide what the model thought before the current message."""
        if (message := self.current) is not None:
            self._toggle(message, TOGGLE_THINKING)

    def action_toggle_call(self) -> None:
        """Show or hide a tool's call and its result."""
        self.action_toggle_fold()

    def action_toggle_fold(self) -> None:
        """Fold the current message to its first lines, or unfold it."""
        if (message := self.current) is not None:
            self._toggle(message, TOGGLE_FOLD)

    def _toggle(self, message: Message, what: str) -> None:
        position = self._layout.position_of(message.id)
        view = None if position is None else self._layout.lay_out(position)
        if position is None or view is None:
            return
        if what == TOGGLE_FOLD:
            self._fold(position, folded=not view.is_folded)
        elif view.has_thinking:
            self._fold(position, thinking_open=not view.thinking_is_open)

    def _fold(self, position: int, **choice: bool) -> None:
        message = self._layout.message(position)
        if message is not None:
            folds = self._layout.folds.get(message.id, Folds())
            self._layout.folds[message.id] = folds._replace(**choice)
            self._relay(position)

    def action_toggle_details(self) -> None:
        """Show or hide when each message came and what it cost, until the program ends."""
        self._details = self._layout.details = not self._details
        self._deselect()
        self._arrange(self._layout.resize(self._text_width, self._top))

    def action_retry(self) -> None:
        """Ask for the last answer again, where it is the current one and did not end well."""
        message = self.current
        if message is not None and self._is_broken_off(message):
            self.post_message(self.RetryRequested(message))

    def action_ask(self, what: str) -> None:
        """Ask the screen to do something with the current message."""
        message = self._branching if what in ("previous", "next") else self.current
        if message is not None:
            self.post_message(self.Asked(what, message))

    @property
    def _branching(self) -> Message | None:
        """The current message or the nearest above it that has alternatives."""
        current = self.current
        if current is None:
            return None
        positions = map(self._layout.position_of, self._layout.branches)
        above = [one for one in positions if one is not None and one <= current.position]
        return self._layout.message(max(above)) if above else None

    def _is_broken_off(self, message: Message) -> bool:
        """Whether it is the last one, and did not end well."""
        return message.finish in _RETRYABLE and message.position == len(self._layout) - 1

    def _can_be(self, what: object, message: Message | None) -> bool:
        """Whether that can be done with a message."""
        if message is None:
            return False
        if what == "go_on":
            return self._is_broken_off(message) and bool(message.content)
        if what in ("edit", "take_back"):
            return message.role is Role.USER
        if what == "pin":
            return can_be_pinned(message)
        place, count = self._layout.branches.get(message.id, (1, 1))
        return place > 1 if what == "previous" else place < count

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        message = self.current
        match action:
            case "retry":
                return message is not None and self._is_broken_off(message)
            case "copy_message":
                return bool(message and message.content) or self.text_selection is not None
            case "copy_code":
                return message is not None and has_code(message.content)
            case "open_link":
                return message is not None and has_links(message.content)
            case "toggle_thinking":
                return message is not None and self._has_thinking(message)
            case "toggle_call":
                return message is not None and message.role is Role.TOOL
            case "unmark":
                return self._mark is not None
            case "ask":
                walks = parameters[0] in ("previous", "next")
                return self._can_be(parameters[0], self._branching if walks else message)
            case "find_next" | "find_previous":
                return self._finder is not None
        return True

    def _has_thinking(self, message: Message) -> bool:
        position = self._layout.position_of(message.id)
        view = None if position is None else self._layout.view(position)
        return view is not None and view.has_thinking

    def _arrange(self, top: int | None = None, changed: int = 0) -> None:
        """Offer what can be done with the message that has become the current one."""
        super()._arrange(top, changed)
        message = self.current
        if (message_id := message.id if message else None) != self._offered:
            self._offered = message_id
            self.refresh_bindings()

    # Finding

    def _marks(self, line: Line, position: int, row: int) -> tuple[Mark, ...]:
        """What is found and what is selected in a row."""
        found: list[Mark] = []
        if self._lit is not None and row:
            found += [(start, end, "match") for start, end in self._lit.spans(line.text)]
        if self._finder is not None and row:  # the header is not part of what was said
            for start, end in self._finder.spans(line.text):
                current = self._finder.place == (position, row, start)
                found.append((start, end, "match-current" if current else "match"))
        return (*found, *super()._marks(line, position, row))

    async def find(self, text: str) -> Found:
        """Highlight `text` everywhere, and say how often it is in the whole conversation.

        Args:
            text: What to find, upper or lower case; nothing ends the search.

        Raises: what the conversation's `load` raises.
        """
        self._finder = finder = Finder(text) if text else None
        self.refresh_bindings()
        self._repaint()
        if finder is None:
            return Found(0, 0)
        found = await self._layout.pages.search(finder.count)
        finder.positions = list(found)
        return Found(sum(found.values()), len(found))

    async def action_find_next(self) -> None:
        """Go to the next match."""
        await self._go_to_match(1)

    async def action_find_previous(self) -> None:
        """Go to the match before."""
        await self._go_to_match(-1)

    async def _go_to_match(self, step: int) -> None:
        if self._finder is None:
            return
        try:
            await self._find(self._finder, step)
        except Exception as error:
            log.exception("messages could not be fetched")
            self.post_message(self.LoadFailed(error))

    async def _find(self, finder: Finder, step: int) -> None:
        first, last = self._visible()
        place = finder.place or (Place(first - 1, 0, 0) if step > 0 else Place(last, 0, 0))
        matches = await self._matches(finder, place.position)
        ahead = [m for m in matches if (m > place if step > 0 else m < place)]
        if not ahead:
            position = finder.following(place.position, step)
            ahead = [] if position is None else await self._matches(finder, position)
        if ahead and finder is self._finder:
            finder.place = ahead[0] if step > 0 else ahead[-1]
            self._cursor = finder.place.position
            self._hold(finder.place.position, finder.place.row - self._height // 3)

    async def _matches(self, finder: Finder, position: int) -> list[Place]:
        """The matches in the rows of a message, which is unfolded where they are hidden."""
        pages = self._layout.pages
        # A tool's result is laid out with its call.
        for number in pages.missing(position - CALLS_BACK, position + 1):
            await pages.fetch(number, number)
        message = self._layout.message(position)
        view = self._layout.lay_out(position)
        if message is None or view is None or not finder.count(message):
            return []
        if not (places := finder.in_lines(position, view.lines)):
            self._fold(position, folded=False, thinking_open=True)
            view = self._layout.lay_out(position)
            places = finder.in_lines(position, view.lines) if view else []
        return places or [Place(position, 0, 0)]

    def on_blur(self) -> None:
        """What a search elsewhere found has been seen."""
        self._lit = None

    # The mouse

    async def on_click(self, event: Click) -> None:
        """Follow links and folds; select a word with two clicks, a line with three."""
        event.prevent_default()
        link = event.style.meta.get("link")
        if event.chain == 1 and link and self.text_selection is None:
            self._follow(link, self._layout.heights.at(self._top + event.y))
        elif event.chain in (2, 3):
            self._select_at(event)

    def _follow(self, link: str, position: int) -> None:
        message = self._layout.message(position)
        if not link.startswith(ACTION):
            self.post_message(self.LinkOpened(link))
        elif link == END:
            self.action_scroll_end()
        elif message is not None and link == RETRY:
            self.post_message(self.RetryRequested(message))
        elif message is not None and link.startswith(CITE):
            self.post_message(self.CitationOpened(message, int(link.removeprefix(CITE))))
        elif message is not None:
            self._toggle(message, link)

    def _select_at(self, event: Click) -> None:
        _, offset = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        if offset is None:
            return
        position, row = selecting.split_row_number(offset.y)
        view = self._layout.view(position)
        if view is None or row >= view.height:
            return
        if event.chain == 2:
            start, end = selecting.word_at(view.lines[row].text, max(0, offset.x))
            selection = Selection(Offset(start, offset.y), Offset(end, offset.y))
        else:
            first, last = selecting.paragraph_at(view.lines, row)
            selection = Selection(
                Offset(0, selecting.row_number(position, first)),
                Offset(len(view.lines[last].text), selecting.row_number(position, last)),
            )
        self.screen.selections = {self: selection}
