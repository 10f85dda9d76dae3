"""The context meter: how a model's window is divided, as a bar with a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content

from tui.figures import count
from tui.widgets.figures import WIDEST
from tui.widgets.rows import MUTED, Row, fit, text_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.context.budget import Packed, Segment
    from storage.records import Usage


class Part(NamedTuple):
    """A piece of the window."""

    label: str
    tokens: int
    sign: str
    style: str
    detail: str = ""


STYLES = {
    "system": "$secondary",
    "tools": "$error",
    "summary": "$accent 60%",
    "memories": "$accent",
    "articles": "$warning 60%",
    "pinned": "$foreground 70%",
    "conversation": "$primary",
    "question": "$success",
}
"""The colours of the segments, by their names."""


ANSWER = "$warning"


def meter_rows(parts: Sequence[Part], width: int, *, exact: bool = True) -> Iterator[Row]:
    """The bar and its legend, for a pane of `width` cells."""
    window = sum(part.tokens for part in parts)
    about = "" if exact else "~"
    measure = min(width, WIDEST) - 2
    cells = shares([part.tokens for part in parts], measure)
    yield text_row(
        Content.assemble(
            " ",
            *((part.sign * size, part.style) for part, size in zip(parts, cells, strict=True)),
        )
    )
    for part in parts:
        if part.tokens or part.detail:
            share = f"{part.tokens / window:>5.0%}" if window else ""
            figure = f"{about}{count(part.tokens)}{share}"
            label = f"{part.label} {part.detail}".rstrip()
            yield text_row(
                Content.assemble(
                    " ",
                    (f"{part.sign} ", part.style),
                    (fit(label, measure - 2 - len(figure)), MUTED),
                    figure,
                )
            )


def parts_packed(packed: Packed, answer: int = 0) -> list[Part]:
    """What a model is shown for a turn, the tokens of its answer so far, and the room beside."""
    parts = [
        Part(segment.name, segment.tokens, "█", STYLES[segment.name], _detail(segment))
        for segment in packed.segments
    ]
    used = sum(part.tokens for part in parts)
    kept = max(packed.reserve, answer)
    return [
        *parts,
        Part("answer", answer, "█", ANSWER),
        Part("kept for the answer", kept - answer, "▒", "$foreground 40%"),
        _free(packed.window - used - kept),
    ]


def parts_answered(usage: Usage, window: int) -> list[Part]:
    """What an answer left of its window."""
    prompt, answer = usage.prompt_tokens or 0, usage.eval_tokens or 0
    return [
        Part("prompt", prompt, "█", "$primary"),
        Part("answer", answer, "█", ANSWER),
        _free(window - prompt - answer),
    ]


def shares(sizes: Sequence[int], cells: int) -> list[int]:
    """Divide `cells` in proportion to `sizes`; whatever is there gets one cell at least."""
    total = sum(sizes)
    if not total or cells <= 0:
        return [0] * len(sizes)
    exact = [size * cells / total for size in sizes]
    given = [max(1, int(share)) if size else 0 for size, share in zip(sizes, exact, strict=True)]
    while (missing := cells - sum(given)) != 0:
        step = 1 if missing > 0 else -1
        open_to_change = [at for at, size in enumerate(given) if size > (0 if step > 0 else 1)]
        if not open_to_change:
            break
        neediest = max(open_to_change, key=lambda at: step * (exact[at] - given[at]))
        given[neediest] += step
    return given


def _free(tokens: int) -> Part:
    return Part("free", max(0, tokens), "░", "$foreground 25%")


def _detail(segment: Segment) -> str:
    if segment.name not in ("memories", "conversation") or not segment.items:
        return ""
    cut = {0: "", -1: ", older cut"}.get(segment.left_out, f", {segment.left_out} left out")
    return f"({segment.items}{cut})"
