"""Markdown is laid out as its author meant it, within the width, and can be copied as text."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from tests.tui.transcript.markdown_texts import markdown_texts
from tui.harmless import visible
from tui.transcript.markdown import code_blocks, links, markdown_lines
from tui.transcript.selecting import texts

if TYPE_CHECKING:
    from tui.transcript.text import Line


def shown(source: str, width: int = 60) -> list[str]:
    """The rows as they look, decoration included."""
    return [
        "".join(span.text for span in (*line.lead, *line.spans)).rstrip()
        for line in markdown_lines(source, width)
    ]


def styles_of(lines: list[Line], text: str) -> set[str]:
    """The styles of the span that is exactly `text`."""
    return {
        name
        for line in lines
        for span in (*line.lead, *line.spans)
        if span.text == text
        for name in span.style
    }


def test_headings_stand_clear_above_and_close_below() -> None:
    source = "Text.\n# One\n\nMore.\n\nTwo\n---\nEnd."
    assert shown(source) == ["Text.", "", "One", "More.", "", "Two", "End."]
    assert styles_of(markdown_lines(source, 60), "One") == {"heading1"}
    assert styles_of(markdown_lines(source, 60), "Two") == {"heading2"}


def test_lists_keep_numbers_nesting_and_spacing() -> None:
    source = "3. three\n4. four\n   - inner\n     - deep\n\n   para\n\n5. five"
    assert shown(source) == [
        "3. three",
        "4. four",
        "   ◦ inner",
        "     ▪ deep",
        "",
        "   para",
        "",
        "5. five",
    ]


def test_a_list_may_begin_with_nought() -> None:
    assert shown("0. a\n1. b") == ["0. a", "1. b"]


def test_task_lists_show_what_is_done() -> None:
    assert shown("- [x] done\n- [ ] open\n- [y] neither") == ["✔ done", "☐ open", "• [y] neither"]
    assert shown("- [X] done") == ["✔ done"]


def test_emphasis_nests() -> None:
    lines = markdown_lines("plain **strong *both*** ~~gone~~ `code`", 60)
    assert styles_of(lines, "strong ") == {"strong"}
    assert styles_of(lines, "both") == {"strong", "em"}
    assert styles_of(lines, "gone") == {"strike"}
    assert styles_of(lines, "code") == {"code"}


def test_line_breaks_are_kept() -> None:
    assert shown("Name: Ada\nBorn: 1815") == ["Name: Ada", "Born: 1815"]


def test_html_and_markup_are_text() -> None:
    assert shown("<script>alert(1)</script> [bold]x[/bold]") == [
        "<script>alert(1)</script> [bold]x[/bold]"
    ]


def test_quotes_have_a_bar_that_is_not_copied() -> None:
    lines = markdown_lines("> one\n>\n> two", 60)
    assert shown("> one\n>\n> two") == ["▎ one", "▎", "▎ two"]
    assert texts(lines) == "one\n\ntwo"


def test_tables_align_and_fit() -> None:
    source = "| a | bb | c |\n|:--|--:|:-:|\n| 1 | 2 | three |\n"
    assert shown(source) == [
        "a │ bb │   c",
        "──┼────┼──────",
        "1 │  2 │ three",
    ]


def test_a_wide_table_wraps_its_widest_column() -> None:
    source = "| id | what |\n|---|---|\n| 1 | " + "word " * 20 + "|\n"
    rows = shown(source, 40)
    assert max(map(len, rows)) <= 40
    assert rows[2].startswith("1  │ word word")
    assert rows[3].startswith("   │ word word")


def test_a_table_too_narrow_for_columns_becomes_records() -> None:
    head = "|" + "|".join(f"h{n}" for n in range(8)) + "|\n" + "|---" * 8 + "|\n"
    rows = shown(head + "|" + "|".join(f"value {n}" for n in range(8)) + "|\n", 30)
    assert rows == [f"h{n}: value {n}" for n in range(8)]


def test_code_has_its_language_over_it_and_colours_in_it() -> None:
    source = "```python\ndef f(): return 1\n```"
    lines = markdown_lines(source, 60)
    assert shown(source) == [" python", " def f(): return 1"]
    assert "tok-keyword" in styles_of(lines, "def")
    assert all(line.fill == ("code-block",) for line in lines)


@pytest.mark.parametrize("language", ["", "no-such-language", "{.weird}", "../etc", "python3 x=1"])
def test_code_in_any_language_is_shown(language: str) -> None:
    assert shown(f"```{language}\nx = '[b]'\n```")[-1] == " x = '[b]'"


def test_emoji_in_code_stay_whole() -> None:
    assert shown("```python\n👩‍👩‍👧\n```")[-1] == " 👩‍👩‍👧"


def test_wrapped_code_copies_as_one_line() -> None:
    code = "x = " + "1 + " * 40 + "1"
    lines = markdown_lines(f"```python\n{code}\n```", 30)
    assert len(lines) > 4
    assert texts(lines[1:]) == code


def test_links_are_found_and_only_safe_ones_are_links() -> None:
    source = (
        "[a](https://a.org/x) https://b.org <mailto:c@d.org> ![p](http://p.org/p.png) "
        "[bad](javascript:alert(1)) [file](file:///etc/passwd) main.py "
        "[key](ssh://host) [page](about:blank) [data](data:image/png;base64,AAAA)"
    )
    assert [address for _, address in links(source)] == [
        "https://a.org/x",
        "https://b.org",
        "mailto:c@d.org",
        "http://p.org/p.png",
    ]


def test_link_definitions_apply_wherever_they_stand() -> None:
    assert links("[a] and [b]\n\n[a]: https://a.org\n") == [("a", "https://a.org")]


def test_code_blocks_are_found_wherever_they_stand() -> None:
    source = "```py\na\n```\n1. x\n\n   ```sh\n   b\n   ```\n\n> ```\n> c\n> ```\n"
    assert code_blocks(source) == [("a", "py"), ("b", "sh"), ("c", "")]


@settings(max_examples=300, deadline=None)
@given(source=markdown_texts, width=st.integers(8, 120))
@example(source="```" + "no-language-has-such-a-name" * 2, width=20)
def test_no_row_is_wider_than_the_text(source: str, width: int) -> None:
    for line in markdown_lines(source, width):
        text = "".join(span.text for span in (*line.lead, *line.spans))
        assert cell_len(text) <= width
        assert not set("\n\t\x1b") & set(text)


words = st.lists(st.from_regex(r"[a-zé汉]{1,9}", fullmatch=True), min_size=1, max_size=40)


@given(words=words, width=st.integers(20, 80))
def test_every_word_is_shown_in_order(words: list[str], width: int) -> None:
    source = "\n\n".join(
        ["# " + words[0], "- " + " ".join(words), "> " + " ".join(words), " ".join(words)]
    )
    text = "".join(line.text for line in markdown_lines(source, width))
    plain = "".join([words[0], "•", *words, *words, *words])
    assert "".join(text.split()) == plain


def test_hidden_control_characters_in_markdown_are_shown() -> None:
    assert shown("a\x1b]8;;http://x\x07b `\x1b[2J`") == ["a␛]8;;http://x␇b ␛[2J"]
    assert visible("\x1b") == "␛"


@settings(max_examples=300, deadline=None)
@given(source=markdown_texts)
def test_exactly_the_characters_that_the_parser_gives_are_shown(source: str) -> None:
    decoration = {"bullet", "task-done", "table-rule", "code-label"}
    rows = "".join(
        span.text
        for line in markdown_lines(source, 100)
        for span in line.spans
        if not decoration.intersection(span.style)
    )
    assert Counter("".join(rows.split())) == Counter("".join(parsed(source).split()))


def parsed(source: str) -> str:
    """All text in a document, as markdown-it gives it."""
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "maxNesting": 20})
    parser.enable(["table", "strikethrough", "linkify"]).disable(["html_block", "html_inline"])
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    pieces: list[str] = []
    tokens = parser.parse(visible(source))
    for at, token in enumerate(tokens):
        if token.type in ("fence", "code_block"):
            pieces.append(token.content)
        text = "".join(
            f"▣{child.content or 'image'}" if child.type == "image" else child.content
            for child in token.children or []
        )
        openers = [before.type for before in tokens[max(0, at - 2) : at]]
        begins_item = openers == ["list_item_open", "paragraph_open"]
        pieces.append(re.sub(r"^\[[ xX]\][ \t]+(?=\S)", "", text) if begins_item else text)
    return "".join(pieces)


def test_what_is_quoted_looks_quoted_whatever_else_it_is() -> None:
    lines = markdown_lines("> Some **bold** words\n> - and an item\n\nNot quoted.", 40)
    *quoted, _, after = lines
    assert all("quote" in span.style for line in quoted for span in line.spans)
    assert all(line.lead[0].text == "▎ " for line in quoted)
    assert any("strong" in span.style for span in quoted[0].spans)
    assert not any("quote" in span.style for span in after.spans)
