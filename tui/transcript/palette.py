"""Names of styles turned into the colours of the theme, and lines into strips."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.cache import LRUCache
from textual.strip import Strip

from tui.transcript.look import ACTION, PREFIX
from tui.transcript.text import Line, Span, Style, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.widget import Widget

Mark = tuple[int, int, str]
"""The characters from the first number up to the second, and the style to put over them."""

STYLES_KEPT = 1_024
"""Every link has a style of its own, and a long history has many links."""


class Palette:
    """The styles of one widget under its present theme."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: LRUCache[tuple[Style, str], RichStyle] = LRUCache(STYLES_KEPT)
        self.base = widget.rich_style
        """Of plain text."""

    def style(self, names: Style, link: str = "") -> RichStyle:
        """The named styles over each other, the last on top."""
        key = (names, link)
        if (style := self._styles.get(key)) is None:
            style = self.base
            for name in names:
                style += self._component(name)
            if link:
                address = None if link.startswith(ACTION) else link
                style += RichStyle(link=address, meta={"link": link})
            self._styles[key] = style
        return style

    def _component(self, name: str) -> RichStyle:
        if name == "selection":
            return self._selection()
        styles = self._widget.get_component_styles(PREFIX + name)
        full = styles.rich_style
        own = RichStyle(
            color=full.color if styles.has_rule("color") else None,
            bgcolor=full.bgcolor if styles.has_rule("background") else None,
        )
        return own + styles.text_style

    def _selection(self) -> RichStyle:
        """Text keeps its own colour where the theme gives selected text a transparent one."""
        styles = self._widget.screen.get_component_styles("screen--selection")
        full = styles.rich_style
        return RichStyle(color=full.color if styles.color.a else None, bgcolor=full.bgcolor)

    def strip(
        self,
        line: Line,
        bar: Span,
        width: int,
        measure: int,
        offset: int,
        marks: Sequence[Mark] = (),
    ) -> Strip:
        """One row of the screen.

        Args:
            line: What it shows.
            bar: The bar on its left.
            width: Of the row, in cells.
            measure: How far the ground of code reaches, in cells from the left.
            offset: The row's number for text selection; characters count from 0 in each row.
            marks: Selected or found characters.
        """
        segments: list[Segment] = []
        lead = (bar, *line.lead)
        x = -sum(len(span.text) for span in lead)
        used = 0
        for span in (*lead, *(_marked(line.spans, marks) if marks else line.spans)):
            if not span.text:
                continue
            at = RichStyle.from_meta({"offset": (x, offset)})
            segments.append(Segment(span.text, self.style(span.style, span.link) + at))
            x += len(span.text)
            used += cell_len(span.text)
        if line.fill and used < measure:
            segments.append(Segment(" " * (measure - used), self.style(line.fill)))
            used = measure
        if used < width:
            segments.append(Segment(" " * (width - used), self.base))
        strip = Strip(segments, max(used, width))
        return strip if used <= width else strip.crop(0, width)


def _marked(spans: Sequence[Span], marks: Sequence[Mark]) -> list[Span]:
    """The spans, cut where marks begin and end, with the marks' styles added."""
    length = sum(len(span.text) for span in spans)
    edges = {0, length}
    for start, end, _ in marks:
        edges.update((min(max(start, 0), length), min(max(end, 0), length)))
    bounds = sorted(edges)
    pieces = list(pairwise(bounds))
    found: list[Span] = []
    for (start, end), piece in zip(pieces, cut(spans, pieces), strict=True):
        over = tuple(style for first, last, style in marks if first <= start and end <= last)
        found.extend(span._replace(style=(*span.style, *over)) for span in piece)
    return found
