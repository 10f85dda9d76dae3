"""Rows of figures under a heading."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content

from tui.transcript.text import wrap
from tui.widgets.rows import MUTED, Row, fit, text_row

WIDEST = 48
"""A label and its figure stand no further apart than so many cells."""


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
