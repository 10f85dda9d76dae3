"""Text that is made to harm a terminal is bounded on its way there, however it is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from storage.records import Message, Role
from tui.harmless import MOST_MARKS, visible
from tui.transcript.message import MessageView
from tui.widgets.rows import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIED = 1_000
"""Inputs a test; `--hypothesis-show-statistics` tells how many were valid."""

OBEYED = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))} | set(
    "\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
MARKS = "\u0301\u034f\u0489\u05b0\u0651\u0903\u0e31\u1161\u200b\u200c\u200d\u2060\ufe0f\U000e0041"

hostile = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    "\x1b[2J",
                    "\x1b]0;x\x07",
                    "\x1b]52;c;QUFB\x1b\\\\",
                    "\x9b31m",
                    "\x90q",
                    "\r",
                    "\b",
                ),
                *(
                    "\u202e",
                    "\u2066",
                    "\u2069",
                    "\u200f",
                    "\ud83d",
                    "[bold]",
                    "[/]",
                    "`",
                    "**",
                    "```\n",
                ),
                *("| a | b |\n|-|-|\n", "> ", "- ", "\n", "\t", "&#x1b;", "&#x301;" * 99, "<b>"),
                *("a", "word ", "汉字", "🎉", "👩\u200d👧", "https://a.org/\x1b"),
            ]
        ),
        st.builds(str.__mul__, st.sampled_from(MARKS), st.integers(1, 3_000)),
        st.text(MARKS, max_size=200),
        st.text(max_size=20),
    ),
    max_size=30,
).map("".join)


def characters_a_row(width: int) -> int:
    """A row's cells, each with as many marks as there may be and the sign that there were more."""
    return (width + 8) * (MOST_MARKS + 1) * 2


def harmless(text: str) -> bool:
    return not OBEYED & set(text) and not any("\ud800" <= char <= "\udfff" for char in text)


@settings(max_examples=TRIED, deadline=None)
@given(text=hostile)
def test_made_visible_nothing_is_obeyed_and_it_grows_no_more_than_its_signs(text: str) -> None:
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
