"""Text is made harmless, and fits its width whatever it is made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.harmless import visible
from tui.transcript.text import Span, wrap, wrap_spans

texts = st.text(
    st.one_of(
        st.sampled_from("ab ,.  汉字、。🎉👩‍👧é️\u0301"),
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff"),
    ),
    max_size=120,
).map(visible)


@given(text=texts, width=st.integers(2, 40))
def test_wrapped_text_fits_and_loses_nothing_but_space_at_the_ends(text: str, width: int) -> None:
    pieces = wrap(text, width)
    assert all(cell_len(text[start:end]) <= width for start, end in pieces)
    behind = 0
    for start, end in pieces:
        assert text[behind:start].strip() == ""
        behind = end
    assert text[behind:].strip() == ""


@given(text=texts, width=st.integers(2, 40))
def test_wrapped_lines_join_to_the_text_they_came_from(text: str, width: int) -> None:
    spans = [Span(text[:7], ("strong",)), Span(text[7:])]
    lines = wrap_spans([span for span in spans if span.text], width)
    joined = "".join((line.joint or "") + line.text for line in lines)
    assert joined.split() == text.split()
    assert text.rstrip().endswith(joined.rstrip()[-5:])


def test_words_are_not_cut_where_they_fit() -> None:
    lines = wrap_spans([Span("the quick brown fox jumps")], 11)
    assert [line.text for line in lines] == ["the quick", "brown fox", "jumps"]
    assert [line.joint for line in lines] == [None, " ", " "]


def test_no_row_begins_with_the_space_at_which_it_was_wrapped() -> None:
    lines = wrap_spans([Span("four     five       nine")], 6)
    assert [line.text for line in lines] == ["four", "five", "nine"]
    assert "".join((line.joint or "") + line.text for line in lines) == "four     five       nine"


def test_a_word_wider_than_the_row_is_cut_without_a_joint() -> None:
    lines = wrap_spans([Span("a" * 25)], 10)
    assert [line.text for line in lines] == ["a" * 10, "a" * 10, "a" * 5]
    assert [line.joint for line in lines] == [None, "", ""]


def test_chinese_wraps_between_characters_but_not_before_its_punctuation() -> None:
    lines = wrap_spans([Span("一二三四五，六七")], 10)
    assert [line.text for line in lines] == ["一二三四", "五，六七"]


def test_a_family_of_emoji_is_never_taken_apart() -> None:
    family = "👩‍👩‍👧"
    lines = wrap_spans([Span(family * 5)], 4)
    assert "".join(line.text for line in lines) == family * 5
    assert all(len(line.text) % len(family) == 0 for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "␛[31mred␇"),
        ("a\x9bb", "a‹9B›b"),
        ("\x7f", "␡"),
        ("abc\u202edef", "abc‹202E›def"),
        ("a\u2066b\u2069", "a‹2066›b‹2069›"),
        ("a\ud800b", "a�b"),
        ("a\u2028b", "a‹2028›b"),
        ("one\r\ntwo\rthree", "one\ntwo␍three"),
        ("tab\tand\nnewline", "tab\tand\nnewline"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    shown = visible(text)
    assert all(char in "\n\t" or char.isprintable() or ord(char) > 0x9F for char in shown)
    shown.encode()


@pytest.mark.parametrize("text", ["\u200dab", "a\u200d b", "ab\u200d", "é\u200d", "a\u200d\u200db"])
def test_joiners_that_join_nothing_are_dropped(text: str) -> None:
    (line,) = wrap_spans([Span(text)], 10)
    assert line.text == text.replace("\u200d", "")


def test_tabs_go_to_the_next_stop_across_changes_of_style() -> None:
    lines = wrap_spans([Span("a\tb"), Span("b\t汉\tc\n\td", ("code",))], 40)
    assert [line.text for line in lines] == ["a   bb  汉  c", "    d"]
