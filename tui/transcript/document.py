"""The text of one message in lines, which grows without laying out again what is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tui.harmless import visible
from tui.transcript.markdown import Node, References, Unit, code_lines, is_blank, lay_out
from tui.transcript.text import Line, Span, Style, wrap_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

FENCE_STEP = 60
"""Lines of an open code fence after which its beginning is settled."""


class Document(Protocol):
    """Text in lines for a width."""

    @property
    def lines(self) -> Sequence[Line]:
        """All lines."""
        ...

    def feed(self, text: str) -> int:
        """Add to the end. Returns the first line that may have changed."""
        ...


class MarkdownDocument:
    """Markdown that may still be growing.

    Only the last block can change when text is added: CommonMark decides every block by its own
    lines and the beginning of the next one. So all blocks before it are settled, as soon as the
    first line of the next block is complete, and adding text costs what the last block costs.
    Lists settle item by item and long code fences piece by piece, so that the last block stays
    short. Link definitions are the exception: one that comes later changes links before it, so a
    text that has any is laid out as a whole.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._lines: list[Line] = []
        self._settled = 0  # lines that cannot change any more
        self._source = ""
        self._held = ""  # half of a line ending
        self._defines_links = False
        self._restart()

    @property
    def lines(self) -> Sequence[Line]:
        """All lines."""
        return self._lines

    def feed(self, text: str) -> int:
        """Add Markdown to the end. Returns the first line that may have changed."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        text = visible(text)
        self._source += text
        self._open += text
        first = self._settled
        units = self._lay_out()
        if self._defines_links and self._settled:
            first = 0
            self._restart()
            units = self._lay_out()
        self._show(units)
        if units and not self._defines_links:
            self._settle(units)
        return first

    def _restart(self) -> None:
        self._settled = 0
        self._open = self._source  # from the last settled block on
        self._previous: Node | None = None  # the block before the open source
        self._number: int | None = None  # of the list item that the open source begins with
        self._begun = False  # whether the open source is the rest of a code fence

    def _lay_out(self) -> list[Unit]:
        references: References = {}
        units = list(
            lay_out(
                self._open, self.width, references, previous=self._previous, number=self._number
            )
        )
        self._defines_links = bool(references.get("references"))
        if units and self._begun:
            token = units[0].node.token
            rest = code_lines(token.content, token.info, self.width, label=False)
            units[0] = units[0]._replace(lines=rest, gap=False)
        return units

    def _show(self, units: Sequence[Unit]) -> None:
        del self._lines[self._settled :]
        for unit in units:
            if unit.gap:
                self._lines.append(Line(()))
            self._lines.extend(unit.lines)

    def _settle(self, units: Sequence[Unit]) -> None:
        """Let go of the source of all units but the last, and of the beginning of a long fence."""
        last = units[-1]
        source = self._open.split("\n")
        opening = last.first_line
        if len(units) > 1:
            if opening == len(source) - 1:
                return  # that line can still turn into something that belongs to the unit before
            self._settled = len(self._lines) - len(last.lines) - last.gap
            parted = is_blank(source[opening - 1])
            source = ["", *source[opening:]] if parted else source[opening:]
            opening = int(parted)
            self._open = "\n".join(source)
            self._previous = units[-2].node
            self._number = last.number
            self._begun = False
        if last.node.token.type == "fence" and len(source) - opening > FENCE_STEP:
            self._settle_fence(last, source[opening], source[opening + 1 :])

    def _settle_fence(self, unit: Unit, fence: str, body: list[str]) -> None:
        token = unit.node.token
        start, end = token.map or (0, 0)
        if end - start - 1 > token.content.removesuffix("\n").count("\n") + 1:
            return  # it is closed
        at = _resting_place(body[: -FENCE_STEP // 3])
        if not at:
            return
        code = token.content.split("\n")[:at]
        del self._lines[self._settled + unit.gap :]
        self._lines.extend(
            code_lines("\n".join([*code, ""]), token.info, self.width, label=not self._begun)
        )
        self._settled = len(self._lines)
        self._open = "\n".join([fence, *body[at:]])
        self._begun = True
        self._show(self._lay_out())


def _resting_place(body: Sequence[str]) -> int:
    """A line before which code can be parted, for each part to be coloured by itself.

    That is where something begins at the margin after a blank line; a definition or a statement
    does, the inside of a multi-line string seldom. 0 when there is no such place.
    """
    for at in range(len(body) - 1, 0, -1):
        if body[at][:1].isalpha() and not body[at - 1].strip():
            return at
    return len(body) if len(body) > 2 * FENCE_STEP else 0


class PlainDocument:
    """Text as it was written: what a person typed, and what a model thinks."""

    def __init__(self, width: int, style: Style = (), lead: tuple[Span, ...] = ()) -> None:
        self.width = width
        self._style = style
        self._lead = lead
        self._lines: list[Line] = []
        self._settled = 0
        self._open = ""
        self._held = ""

    @property
    def lines(self) -> Sequence[Line]:
        """All lines."""
        return self._lines

    def feed(self, text: str) -> int:
        """Add text to the end. Returns the first line that may have changed."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        first = self._settled
        complete, newline, self._open = (self._open + visible(text)).rpartition("\n")
        del self._lines[self._settled :]
        if newline:
            self._add(complete)
            self._settled = len(self._lines)
        if self._open:
            self._add(self._open)
        return first

    def _add(self, text: str) -> None:
        for line in text.split("\n"):
            for row in wrap_spans([Span(line, self._style)], self.width):
                self._lines.append(row._replace(lead=self._lead) if self._lead else row)
