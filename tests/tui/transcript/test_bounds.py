"""Hostile text is shown within bounds: the work stays in proportion to the text.

The bound is on calls, not on seconds, so that a busy machine does not fail it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from storage.records import Message, Role
from tests.tui.transcript.markdown_texts import PIECES
from tui.transcript.markdown import markdown_lines
from tui.transcript.message import LONGEST, MessageView

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

SIZE = 100_000

HOSTILE = {
    "one line": "x" * SIZE,
    "one line of words": "word " * (SIZE // 5),
    "quotes in quotes": "> " * (SIZE // 2) + "deep",
    "lists in lists": "\n".join("  " * n + "- x" for n in range(400)),
    "open brackets": "[" * SIZE,
    "open images": "![" * (SIZE // 2),
    "open links": "[a](" * (SIZE // 4),
    "emphasis": "*a_ " * (SIZE // 4),
    "alternating emphasis": "*_" * (SIZE // 2),
    "backticks": "".join("e" + "`" * n for n in range(400)),
    "brackets in short paragraphs": ("[" * 2_000 + "\n\n") * 40,
    "brackets in brackets": ("[" * 1_000 + "]" * 1_000 + "\n\n") * 40,
    "images in paragraphs": ("![" * 3_900 + "\n\n") * 12,
    "table of bars": "|" * 2_000 + "\n" + "|-" * 2_000 + "\n" + "|x\n" * 1_000,
    "entities": "&" * SIZE,
    "html": "<" * SIZE,
    "links without end": "https://" * (SIZE // 8),
    "definitions": "".join(f"[{n}]: /x\n" for n in range(SIZE // 10)),
    "code in a wild language": "```c++\n" + "/*" * (SIZE // 2) + "\n```",
    "every piece": "".join(PIECES) * 150,
}


def calls_of(function: Callable[[], object]) -> int:
    """How many Python functions were called."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event == "call":
            calls += 1
            if calls > 60 * SIZE:
                sys.setprofile(None)
                raise AssertionError("the work is out of proportion")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_markdown_costs_in_proportion_to_its_length(name: str) -> None:
    source = HOSTILE[name]
    assert calls_of(lambda: markdown_lines(source, 80)) < 60 * SIZE


@pytest.mark.parametrize("name", ["quotes in quotes", "lists in lists"])
def test_what_is_nested_too_deep_is_still_shown(name: str) -> None:
    text = "".join(line.text for line in markdown_lines(HOSTILE[name], 80))
    marks = HOSTILE[name].count("x") + HOSTILE[name].count("deep")
    assert text.count("x") + text.count("deep") == marks


@pytest.mark.parametrize("role", [Role.USER, Role.ASSISTANT])
def test_a_megabyte_in_one_line_is_cut_and_says_so(role: Role) -> None:
    message = Message(
        id="0" * 32,
        session_id="s",
        parent_id=None,
        position=0,
        role=role,
        content="x" * 1_000_000,
        created_at=0,
    )
    view = MessageView(message, 80)
    assert view.height <= LONGEST // 80 + 10
    assert any("900,000 more characters" in line.text for line in view.lines)
