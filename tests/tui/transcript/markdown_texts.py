"""Markdown for tests: texts put together from pieces that interact."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

PIECES = [
    "word",
    "a much longer run of words that has to be wrapped somewhere",
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\n\n",
    "\n\n\n",
    "- ",
    "* ",
    "+ ",
    "1. ",
    "2) ",
    "10. ",
    "- [ ] ",
    "- [x] ",
    "> ",
    ">",
    "# ",
    "###### ",
    "\n---\n",
    "\n===\n",
    "-",
    "=",
    "```",
    "```python\n",
    "\n```\n",
    "~~~\n",
    "def f():\n    return 1\n",
    "`",
    "`code`",
    "**",
    "*",
    "_",
    "~~",
    "[link](https://example.org)",
    "[ref]",
    "[ref]: https://example.org/ref\n",
    "![pic](https://example.org/p.png)",
    "https://example.org/bare",
    "<b>tag</b>",
    "&amp;",
    "\\",
    "| a | b |\n|---|--:|\n| 1 | 2 |\n",
    "|",
    "|---|\n",
    "汉字，没有空格。",
    "👩‍👩‍👧",
    "é",
    "‮",
    "\x1b[31m",
    "\r\n",
    "\r",
    "\x00",
]

markdown_texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@st.composite
def chunked(draw: st.DrawFn, texts: st.SearchStrategy[str] = markdown_texts) -> list[str]:
    """A text in chunks as a model may send them."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    bounds = [0, *cuts, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(bounds)]
