"""Calibration: estimates move to what a model counts, and no odd figure leads them astray."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.calibration import ANSWER_OVERHEAD, Calibration, Shape, shape_of
from engine.llm.base import ChatMessage, ChatRequest
from storage.records import Role


def test_nothing_changes_before_anything_is_learnt() -> None:
    assert Calibration().apply(Shape(100, digits=9)) == 100 + ANSWER_OVERHEAD


def test_the_template_s_constant_and_the_tokenizer_s_ratio_are_learnt() -> None:
    calibration = Calibration()
    for estimated in (20, 100, 500, 60, 250):
        calibration.learn(Shape(estimated), 12 + round(1.25 * estimated))
    assert calibration.apply(Shape(2000)) == pytest.approx(2512, rel=0.01)


def test_a_tokenizer_that_takes_every_digit_for_itself_is_learnt() -> None:
    calibration = Calibration()
    for words, digits in ((30, 0), (40, 20), (25, 6), (60, 40), (35, 12), (50, 0)):
        calibration.learn(Shape(words, digits=digits), words + digits)
    assert calibration.apply(Shape(50, digits=30)) == pytest.approx(80, abs=2)
    assert calibration.apply(Shape(50)) == pytest.approx(50, abs=2)


def test_one_prompt_that_the_server_cut_does_not_bend_the_line() -> None:
    calibration = Calibration()
    for estimated in (20, 100, 300, 900, 1500, 40, 700, 200):
        calibration.learn(Shape(estimated), round(1.25 * estimated))
    calibration.learn(Shape(3000), 1600)
    assert calibration.apply(Shape(1000)) == pytest.approx(1250, rel=0.03)


def test_figures_that_are_no_counts_are_left_out() -> None:
    calibration = Calibration()
    for returned in (0, 1, 5_000):
        calibration.learn(Shape(100), returned)
    assert calibration.apply(Shape(100)) == 100 + ANSWER_OVERHEAD


def test_with_the_model_s_own_tokenizer_a_template_is_learnt_to_the_token() -> None:
    calibration = Calibration(own_tokenizer=True)
    for text, messages, calls in ((20, 2, 0), (90, 4, 0), (150, 7, 1), (300, 12, 3)):
        shape = Shape(text, messages=messages, calls=calls)
        calibration.learn(shape, text + 5 * messages + 11 * calls + 21)
    assert calibration.apply(Shape(700, messages=31, calls=2)) == 700 + 5 * 31 + 11 * 2 + 21


def test_a_count_that_leaves_out_what_the_server_had_cached_teaches_nothing() -> None:
    calibration = Calibration(own_tokenizer=True)
    for text in (20, 60, 90):
        calibration.learn(Shape(text, messages=2), text + 15)
    calibration.learn(Shape(400, messages=2), 380)
    assert calibration.apply(Shape(400, messages=2)) == 415


def test_what_is_long_past_is_forgotten() -> None:
    calibration = Calibration()
    for estimated in range(100, 100 + Calibration.KEPT * 20, 20):
        calibration.learn(Shape(estimated), 2 * estimated)
    for estimated in range(100, 100 + Calibration.KEPT * 20, 20):
        calibration.learn(Shape(estimated), estimated)
    assert calibration.apply(Shape(1000)) == pytest.approx(1000, rel=0.01)


@given(
    st.lists(
        st.tuples(
            st.builds(Shape, *[st.integers(-5, 10**6) for _ in Shape._fields]),
            st.integers(-5, 10**6),
        ),
        max_size=30,
    ),
    st.builds(Shape, *[st.integers(0, 10**6) for _ in Shape._fields]),
    st.booleans(),
)
def test_it_stays_within_reason_whatever_it_is_told(
    seen: list[tuple[Shape, int]], asked: Shape, own: bool
) -> None:
    usual = Calibration().apply(asked)
    calibration = Calibration(own_tokenizer=own)
    for shape, returned in seen:
        calibration.learn(shape, returned)
    low, high = Calibration.RATIOS
    least = asked.text if own else int(low * usual)
    assert max(1, least) <= calibration.apply(asked) <= high * usual + 64


def test_the_shape_of_a_request_is_what_tokenizers_disagree_about() -> None:
    text = "12345 and 7: café 米🎉!"
    request = ChatRequest(model="m", messages=(ChatMessage(role=Role.USER, content=text),))
    assert shape_of(request, 9, 2, tokenizer_known=False) == Shape(
        9, 2, messages=1, digits=3, wide=2, accented=1, punctuation=2
    )
    assert shape_of(request, 9, 2, tokenizer_known=True) == Shape(9, 2, messages=1)
