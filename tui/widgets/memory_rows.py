"""The rows of the Memory tab: what was recalled and why, and what is remembered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.content import Content

from storage.records import Role
from tui.figures import bar
from tui.widgets.figures import wrapped
from tui.widgets.rows import MUTED, Row, fit, one_line, text_row
from tui.widgets.session_row import UNTITLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.memory.memories import Kept
    from engine.memory.recall import Recollection
    from tui.widgets.days import Days

LINES_OF_RECOLLECTION = 4
LINES_OF_MEMORY = 2
"""At most, of one that is not unfolded."""

GROUND_CELLS = 13
"""Of the longest ground, `kindred words`."""


def key_of(recollection: Recollection) -> str:
    """The key of a recollection's row; the memory itself may have a row, too."""
    return f"recalled {recollection.memory_id or recollection.message_id}"


def recollection_row(
    recollection: Recollection, days: Days, width: int, *, unfolded: bool = False
) -> Row:
    """What was said or is remembered, since when and where; how likely it helps, and why."""
    if recollection.kind == "message":
        what = "you" if recollection.role is Role.USER else "the model"
    else:
        what = f"{recollection.kind}, pinned" if recollection.pinned else recollection.kind
    title = one_line(recollection.session_title)
    where = (title or UNTITLED) if recollection.session_id else ""
    said = " · ".join(filter(None, (days.short(recollection.created_at), what, where)))
    words = ", ".join(map(one_line, recollection.shared))
    fits = f"{recollection.score:.0%} · {words}" if words else f"{recollection.score:.0%}"
    lines = [
        *_text(recollection.text, width, LINES_OF_RECOLLECTION, unfolded=unfolded),
        *_styled(said, MUTED, width),
        *_styled(fits, "$text-accent", width),
        *(_reasons(recollection, width) if unfolded else ()),
    ]
    return _barred("$accent", lines, key=key_of(recollection))


def memory_row(kept: Kept, days: Days, width: int, *, unfolded: bool = False) -> Row:
    """A memory: what it says, what it is about and since when."""
    about = [
        one_line(kept.name),
        days.short(kept.valid_from),
        f"{kept.confidence:.0%} sure" if kept.confidence < 1 else "",
    ]
    details = [
        f"since {_date(kept.valid_from)}",
        f"learnt from {len(kept.source_ids)} messages" if len(kept.source_ids) > 1 else "",
        "" if kept.source_ids or kept.session_id else "told by hand",
        f"by {one_line(kept.process_id)}" if kept.process_id else "",
    ]
    notes = [Content.styled(note, MUTED) for note in filter(None, about)]
    if kept.pinned:
        notes.insert(0, Content.styled("pinned", "$text-warning"))
    meta = Content.styled(" · ", MUTED).join(notes).truncate(max(1, width - 3), ellipsis=True)
    lines = [*_text(kept.text, width, LINES_OF_MEMORY, unfolded=unfolded), meta]
    if unfolded:
        lines += _styled(" · ".join(filter(None, details)), MUTED, width)
    return _barred("$warning" if kept.pinned else "$primary", lines, key=kept.id)


def history_rows(before: Iterable[Kept], width: int) -> Iterator[Row]:
    """What a fact said before, the newest first: each with the days between which it held."""
    told = False
    for kept in before:
        told = True
        until = _date(kept.valid_to) if kept.valid_to is not None else "now"
        lines = [
            *wrapped(one_line(kept.text), width - 5),
            *wrapped(f"{_date(kept.valid_from)} to {until}", width - 5),
        ]
        yield text_row(*(Content.styled(f"   ┊ {line}", MUTED) for line in lines))
    if not told:
        yield text_row(Content.styled(fit("   ┊ It has said nothing else before.", width), MUTED))


def _barred(style: str, lines: Iterable[Content], *, key: str) -> Row:
    return text_row(*(Content.assemble(("▎", style), " ", line) for line in lines), key=key)


def _text(text: str, width: int, most: int, *, unfolded: bool) -> list[Content]:
    lines = wrapped(one_line(text), width - 3)
    if len(lines) > most and not unfolded:
        lines = [*lines[: most - 1], f"{lines[most - 1].rstrip(' .,')[: width - 4]}…"]
    return [Content(line) for line in lines]


def _styled(text: str, style: str, width: int) -> list[Content]:
    return [Content.styled(line, style) for line in wrapped(text, width - 3)] if text else []


def _reasons(recollection: Recollection, width: int) -> Iterator[Content]:
    """Each ground with a bar and its part in all that spoke for it."""
    room = max(1, min(width, 48) - GROUND_CELLS - 9)
    for reason in recollection.reasons:
        yield Content.assemble(
            (fit(one_line(reason.name), GROUND_CELLS), MUTED),
            " ",
            (fit(bar(reason.share, room), room), "$accent"),
            f" {reason.share:>4.0%}",
        )
    if not recollection.reasons:
        yield Content.styled("Nothing to compare it with yet.", MUTED)


def _date(moment: float) -> str:
    when = time.localtime(moment)
    return f"{when.tm_mday} {time.strftime('%b %Y', when)}"
