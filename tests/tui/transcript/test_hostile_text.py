"""Text that is made to harm a terminal is bounded on its way there, however it is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from storage.records import Message, Role
from tests.fuzz import tried
from tests.fuzz.texts import harmless, hostile
from tui.harmless import MOST_MARKS, visible
from tui.transcript.message import MessageView
from tui.widgets.rows import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIED = 1_000
"""Inputs a test."""


def characters_a_row(width: int) -> int:
    """A row's cells, each with as many marks as there may be and the sign that there were more."""
    return (width + 8) * (MOST_MARKS + 1) * 2


@settings(max_examples=TRIED, deadline=None)
@given(text=hostile)
def test_made_visible_nothing_is_obeyed_and_it_grows_no_more_than_its_signs(text: str) -> None:
    tried.count("the screen")
    shown = visible(text)
    assert harmless(shown.replace("\n", "").replace("\t", ""))
    assert len(shown) <= 6 * len(text)
    assert harmless(one_line(text))
    assert visible(shown) == shown


@settings(max_examples=TRIED, deadline=None)
@given(text=hostile, width=st.integers(30, 120), role=st.sampled_from([Role.USER, Role.ASSISTANT]))
@example(text="e" + "\u0301" * 50_000, width=80, role=Role.USER)
@example(text="e" + "&#x301;" * 9_000, width=80, role=Role.ASSISTANT)
def test_laid_out_every_row_is_bounded(text: str, width: int, role: Role) -> None:
    tried.count("the transcript")
    for row in _rows(text, width, role):
        assert harmless(row)
        assert cell_len(row) <= width
        assert len(row) <= characters_a_row(width)


def _rows(text: str, width: int, role: Role) -> Iterator[str]:
    message = Message(
        id="0" * 32, session_id="s", parent_id=None, position=0, role=role, content=text,
        created_at=0,
    )  # fmt: skip
    view = MessageView(message, width)
    for line in view.lines:
        yield "".join(span.text for span in (*line.lead, *line.spans))


@pytest.mark.parametrize(
    "text",
    [
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "👩‍👩‍👧‍👦" * 40,
        "ก็้๊๋" * 30,
        "क्ष्म्य" * 30,
        "─" * 200 + "▁▂▃" * 30 + "…" * 40,
        "한국어" * 40,
    ],
)
def test_writing_in_earnest_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
