"""How a session, a found session and a day's heading look in the list of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from textual.content import Content

from tui.widgets.rows import MUTED, Row, fit, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.articles import FoundArticle
    from storage.records import SearchHit, Session, Span

UNTITLED = "New conversation"

TIME_FROM_WIDTH = 24
"""Cells from which on there is room for the time beside the title."""


class Mark(NamedTuple):
    """What a row says of its session beside its title."""

    current: bool = False
    writing: bool = False
    """An answer is being written."""

    unread: bool = False
    """An answer has ended, and nobody has looked."""

    selected: bool = False
    """It is one of several that the next key is for."""


def heading_row(text: str, *, first: bool) -> Row:
    """A day, above its sessions."""
    lines = [Content.styled(f" {text}", f"bold {MUTED}")]
    if not first:
        lines.insert(0, Content(""))
    return Row(len(lines), lambda _width: lines)


def title_of(session: Session) -> str:
    """A session's title as one harmless line; words for it where there is none."""
    return one_line(session.title) or UNTITLED


def title_line(session: Session, when: str, mark: Mark, width: int) -> Content:
    """A session on one line: its title, what is new in it, and when it was used."""
    sign = "○" if mark.writing else "●" if mark.unread else ""
    edge: Content | tuple[str, str] = ("▌", "$primary") if mark.current else (" ", "")
    if mark.selected:
        edge = ("✓", "$text-accent bold")
    time = when if width >= TIME_FROM_WIDTH else ""
    right = cell_len(sign) + cell_len(time) + bool(sign) + bool(time)
    style = "bold" if mark.current or mark.unread else ""
    if not session.title.strip():
        style = f"{style} {MUTED}"
    return Content.assemble(
        edge,
        (fit(title_of(session), width - 1 - right), style),
        (f" {sign}" if sign else "", "$text-accent" if mark.writing else "$text-success"),
        (f" {time}" if time else "", MUTED),
    )


def snippet_line(hit: SearchHit, width: int) -> Content:
    """The place where a search found its words, those lit up."""
    if hit.message_id is None:
        return Content.styled(fit("  in the title", width), f"italic {MUTED}")
    return _snippet(hit.snippet, width)


def article_lines(found: FoundArticle, width: int) -> list[Content]:
    """A found article: its title and who found it, where its words are, and its session."""
    article = found.article
    title = one_line(article.title) or one_line(article.url)
    source = article.source if width >= TIME_FROM_WIDTH else ""
    session = one_line(found.session_title) or UNTITLED
    return [
        Content.assemble(
            (" ▤ ", "$text-accent"),
            fit(title, width - 3 - cell_len(source) - bool(source)),
            (f" {source}" if source else "", MUTED),
        ),
        _snippet(found.snippet, width),
        Content.styled(fit(f"  in “{session}”", width), f"italic {MUTED}"),
    ]


def _snippet(spans: Sequence[Span], width: int) -> Content:
    pieces = [(_flat(span.text), span.hit) for span in spans]
    first = next((at for at, (_, found) in enumerate(pieces) if found), 0)
    # A narrow list shows the found words rather than what comes before them.
    behind = sum(cell_len(text) for text, _ in pieces[first:])
    room = max(width // 3, width - 2 - behind)
    pieces[:first] = [(_end_of("".join(text for text, _ in pieces[:first]), room), False)]
    return Content.assemble(
        "  ", *((text, "bold $text-accent" if found else MUTED) for text, found in pieces)
    ).truncate(width, ellipsis=True)


def _flat(text: str) -> str:
    """A piece of a snippet on one line, still parted from its neighbours where it was."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() else ""
    return f"{before}{one_line(text)}{after}"


def _end_of(text: str, width: int) -> str:
    """The last words of `text` that fit into `width` cells."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) >= width:
        text = text.partition(" ")[2] if " " in text else text[1:]
    return f"…{text}"
