"""Figures as people read them: counts, sizes, durations, and rows of them under a heading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from tui.transcript.text import wrap
from tui.widgets.rows import MUTED, Row, fit, text_row

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDEST = 48
"""A label and its figure stand no further apart than so many cells."""

BARS = "▁▂▃▄▅▆▇█"


def count(number: int) -> str:
    """A count in at most six cells: `9,999`, `12.3k`, `4.5M`."""
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= scale:
            return f"{number / (1e3 if letter == 'k' else scale):.1f}{letter}"
    return f"{number:,}"


def size(number: int) -> str:
    """A number of bytes: `812 kB`, `61 MB`, `1.2 GB`."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} GB"
    if number >= 1e6:
        return f"{number / 1e6:.0f} MB" if number >= 1e7 else f"{number / 1e6:.1f} MB"
    return f"{number / 1e3:.0f} kB"


def duration(seconds: float) -> str:
    """A duration: `410 ms`, `12.3 s`, `2m 05s`, `1h 02m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def sparkline(values: Sequence[float]) -> str:
    """One bar a value, from nothing to the largest."""
    top = max(values, default=0.0)
    if top <= 0:
        return BARS[0] * len(values)
    return "".join(BARS[min(7, int(value / top * 8))] for value in values)


def heading(text: str, detail: str = "", *, first: bool = False) -> Row:
    """A heading over figures, with a blank line before it."""
    line = Content.assemble((f" {text}", "bold $text-primary"), (f"  {detail}", MUTED))
    return text_row(line) if first else text_row("", line)


def note(text: str, width: int) -> Row:
    """A quiet sentence, wrapped."""
    return text_row(*(Content.styled(f" {line}", MUTED) for line in wrapped(text, width - 2)))


def pair(label: str, figure: str, width: int, style: str = "") -> Row:
    """A label on the left, its figure on the right."""
    room = min(width, WIDEST) - 2 - cell_len(figure)
    return text_row(Content.assemble(" ", (fit(label, room), MUTED), (figure, style)))


def wrapped(text: str, width: int) -> list[str]:
    """`text`, one line of it, in lines of at most `width` cells."""
    return [text[start:end] for start, end in wrap(text, max(2, width))]
