"""Which row of a conversation shows what: heights, laid-out messages, and the reader's place."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from storage.records import Finish, Role
from tui.transcript.heights import Heights
from tui.transcript.live import Live
from tui.transcript.message import Folds, MessageView, Notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from storage.records import Message
    from tui.transcript.pages import Pages

ROWS_KEPT = 6_000
"""Rows of laid-out messages kept in memory besides those on the screen."""


CALLS_BACK = 16
"""A tool's result looks for its call among so many messages before it."""

NO_RESULT = "no result"
"""What is said of a call that nothing is known of."""


class Layout:
    """The rows of one conversation at one width.

    Messages are laid out when they come on the screen; until then their heights are estimates. A
    row's place in the conversation therefore changes while one reads, but what is on the screen
    stays: `follow`, `settle` and `relay` return the row that must be at the top of the screen.
    """

    def __init__(self, pages: Pages, width: int) -> None:
        self.pages = pages
        self.width = width
        self.heights = Heights(pages.total)
        self.folds: dict[str, Folds] = {}
        self.live: dict[str, Live] = {}
        """Streaming answers by their ids."""

        self.calls: dict[str, str] = {}
        """What becomes of calls that have no result yet, by their ids."""

        self.pinned: frozenset[str] = frozenset()
        """The ids of the messages that are pinned."""

        self.branches: Mapping[str, tuple[int, int]] = {}
        """By id, of the messages with alternatives: the place among them and their number."""

        self.details = False
        """Whether each message has a line of figures."""

        self._views: OrderedDict[int, MessageView] = OrderedDict()

    def __len__(self) -> int:
        return len(self.heights)

    def message(self, position: int) -> Message | None:
        """The message, with all that has streamed in; None while it is not in memory."""
        for live in self.live.values():
            if live.position == position:
                return live.message
        return self.pages.get(position)

    def position_of(self, message_id: str) -> int | None:
        """Where a message is, if it is in memory."""
        live = self.live.get(message_id)
        return live.position if live else self.pages.position_of(message_id)

    def append(self, message: Message) -> None:
        """Add a message at the end."""
        position = self.pages.append(message)
        self.heights.append()
        self._go_live(position, message)

    def replace(self, position: int, message: Message) -> None:
        """Put another message, or another form of it, at a position."""
        for message_id in [key for key, live in self.live.items() if live.position == position]:
            del self.live[message_id]
        self._go_live(position, message)
        if self.pages.is_fetched(position):
            self.pages.put(position, message)

    def _go_live(self, position: int, message: Message) -> None:
        if message.finish is Finish.STREAMING:
            self.live[message.id] = Live(position, message)

    def find_live(self, newest: int) -> None:
        """Look for answers that are streaming among the newest messages of an opened session."""
        for position in range(max(0, len(self) - newest), len(self)):
            if (message := self.pages.get(position)) is not None:
                self._go_live(position, message)

    def view(self, position: int) -> MessageView | None:
        """The message's lines if it has been laid out."""
        return self._views.get(position)

    def laid_out(self, ids: Set[str]) -> list[int]:
        """Where messages are laid out that have one of these ids, or made one of these calls."""
        return [
            position
            for position, view in self._views.items()
            if view.message.id in ids or any(call.id in ids for call in view.message.tool_calls)
        ]

    def lay_out(self, position: int) -> MessageView | None:
        """The message's lines, made now if need be; None while it is not in memory."""
        view = self._views.get(position)
        if view is not None:
            self._views.move_to_end(position)
            return view
        view = self.draft(position)
        if view is not None:
            self._views[position] = view
        return view

    def draft(self, position: int) -> MessageView | None:
        """The message's lines made anew, to be looked at and thrown away."""
        message = self.message(position)
        if message is None or (notes := self._notes(position, message)) is None:
            return None
        view = MessageView(message, self.width, self.folds.get(message.id, Folds()), notes)
        live = self.live.get(message.id)
        if live is not None and position not in self._views:
            live.take()
            if live.status:
                view.set_status(live.status)
        return view

    def _notes(self, position: int, message: Message) -> Notes | None:
        """What is told about a message; None while its tool's call is not in memory."""
        call = None
        if message.role is Role.TOOL:
            for calling in self._back_from(position):
                if calling is None:
                    return None
                call = next((c for c in calling.tool_calls if c.id == message.tool_call_id), None)
        return Notes(
            call=call,
            open_calls=self._open_calls(position, message) if message.tool_calls else {},
            pinned=message.id in self.pinned,
            branch=self.branches.get(message.id),
            details=self.details,
        )

    def _back_from(self, position: int) -> Iterator[Message | None]:
        """The messages before a result up to the one that made its call, from there back."""
        for before in range(position - 1, max(-1, position - 1 - CALLS_BACK), -1):
            message = self.message(before)
            yield message
            if message is None or message.role is not Role.TOOL:
                return

    def _open_calls(self, position: int, message: Message) -> dict[str, str]:
        """The calls of a message that have no result, as far as its results are in memory."""
        answered = set()
        for after in range(position + 1, min(len(self), position + 1 + len(message.tool_calls))):
            result = self.message(after)
            if result is None:
                return {}
            if result.role is not Role.TOOL:
                break
            answered.add(result.tool_call_id)
        return {
            call.id: self.calls.get(call.id, NO_RESULT)
            for call in message.tool_calls
            if call.id not in answered
        }

    def caller(self, position: int) -> int | None:
        """Where the message is whose call is answered at a position, if it is in memory."""
        for back, message in enumerate(self._back_from(position), start=1):
            if message is not None and message.tool_calls:
                return position - back
        return None

    def visible(self, top: int, height: int) -> tuple[int, int]:
        """The positions in `height` rows from the row `top` on, up to behind the last."""
        if not self.heights:
            return 0, 0
        return self.heights.at(max(0, top)), self.heights.at(max(0, top + height - 1)) + 1

    def follow(self, height: int) -> int:
        """Lay out the last `height` rows. Returns the first of them."""
        rows = 0
        position = len(self)
        while position and rows < height:
            position -= 1
            self._measure(position)
            rows += self.heights[position]
        self.heights.improve_estimate()
        return max(0, self.heights.total - height)

    def settle(self, top: int, height: int, held: tuple[int, int] | None = None) -> int:
        """Lay out `height` rows from the row `top` on, without moving what is seen there.

        Args:
            top: The row at the top of the screen.
            height: Rows of the screen.
            held: A message and a row of it to put at the top of the screen instead.
        """
        anchor, offset, share = (*held, None) if held else self._anchor(top, height)
        # Every pass can bring another message on the screen, each at least one row high.
        for _ in range(height + 1):
            # Where the conversation ends before the screen does, more is seen above.
            end = max(0, self.heights.total - height)
            top = min(self.heights.top(anchor) + offset, end)
            position = self.heights.at(max(0, top))
            row = self.heights.top(position)
            changed = False
            while position < len(self) and row < top + height:
                if self._measure(position):
                    changed = True
                    if position == anchor and share is not None:
                        offset = round(share * self.heights[position])
                row += self.heights[position]
                position += 1
            if not changed:
                break
        self.heights.improve_estimate()
        return min(self.heights.top(anchor) + offset, max(0, self.heights.total - height))

    def _measure(self, position: int) -> bool:
        """Measure a message. Returns whether its height was not what was thought."""
        view = self.lay_out(position)
        if view is None:
            return False
        before = self.heights[position]
        self.heights.measure(position, view.height)
        return view.height != before

    def _anchor(self, top: int, height: int) -> tuple[int, int, float | None]:
        """What must not move: a message, the row of it at `top`, and the share of its height.

        A message that has been measured is preferred: one above it that turns out taller must
        grow upwards, out of sight. The share is given where the height is only an estimate.
        """
        first = position = self.heights.at(top)
        row = self.heights.top(first)
        while position < len(self) and row < top + height:
            if self.heights.is_measured(position):
                return position, top - row, None
            row += self.heights[position]
            position += 1
        offset = top - self.heights.top(first)
        return first, offset, offset / self.heights[first]

    def relay(self, position: int, top: int) -> int:
        """A message has changed: lay it out again. Returns the row for the top of the screen."""
        before = self._views.pop(position, None)
        if before is None and not self.heights.is_measured(position):
            return top
        view = self.lay_out(position)
        if view is None:
            return top
        offset = top - self.heights.top(position)
        height = self.heights[position]
        self.heights.measure(position, view.height)
        if offset >= height:
            return top + view.height - height
        if before is not None and offset >= before.body_start:
            # The reader is in the text: a thinking block that folds must not move it.
            return top + view.body_start - before.body_start
        return top

    def show_news(self, live: Live, top: int) -> tuple[int | None, int]:
        """Lay out what has come for a streaming answer.

        Returns the first row of the conversation that may have changed, if any, and the row for the
        top of the screen.
        """
        view = self.view(live.position)
        if view is None:
            live.take()
            view = self.lay_out(live.position)
            first, start = 0, 0
            if view is None:
                return None, top
        else:
            news = live.take()
            if not news:
                return None, top
            first, start = view.height, view.body_start
            if news.text or news.thinking:
                first = view.feed(news.text, news.thinking)
            if news.status is not None:
                first = min(first, view.set_status(news.status))
        row = self.heights.top(live.position)
        if start and top - row >= start:
            # The reader is in the text: a thinking block that folds must not move it.
            top += view.body_start - start
        self.heights.measure(live.position, view.height)
        return row + first, top

    def resize(self, width: int, top: int) -> int:
        """Lay everything out for another width. Returns the row for the top of the screen."""
        self.width = width
        if not self.heights:
            return 0
        first = self.heights.at(top)
        share = (top - self.heights.top(first)) / self.heights[first]
        self._views.clear()
        self.heights = Heights(len(self), self.heights.estimate)
        self._measure(first)
        return self.heights.top(first) + round(share * self.heights[first])

    def let_go(self, top: int, height: int) -> None:
        """Forget the lines of messages that have long been off the screen."""
        rows = sum(view.height for view in self._views.values())
        seen = range(*self.visible(top, height))
        for position in list(self._views):
            if rows <= ROWS_KEPT:
                break
            if position not in seen:
                rows -= self._views.pop(position).height
