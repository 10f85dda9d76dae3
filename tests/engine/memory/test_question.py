"""How a question is read."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from engine.memory.question import read

APP = frozenset({"user", "assistant"})
FRIENDS = frozenset({"Ana", "Bea"})
NOW = datetime(2025, 3, 20, 12, tzinfo=UTC).timestamp()


def test_stop_words_are_left_out_and_irregular_forms_are_joined() -> None:
    assert read("What did I buy?", APP).stems == read("What had I bought?", APP).stems == ("buy",)


@pytest.mark.parametrize(
    ("question", "speakers", "wanted"),
    [
        ("What is my name?", APP, {"user"}),
        ("What did you recommend to me?", APP, {"assistant"}),
        ("How high is the tower?", APP, set()),
        ("What did Ana's sister cook?", FRIENDS, {"Ana"}),
        ("When did Ana and Bea meet?", FRIENDS, {"Ana", "Bea"}),
    ],
)
def test_whose_words_are_asked_for(
    question: str, speakers: frozenset[str], wanted: set[str]
) -> None:
    assert read(question, speakers).speakers == wanted


def test_the_name_of_a_speaker_is_no_topic() -> None:
    assert read("What did Ana's sister cook?", FRIENDS).stems == ("sister", "cook")


def test_dates_in_a_question() -> None:
    read_ = read("What happened on the 9th of May 2024, or in March?", APP)
    assert read_.months == {3, 5}
    assert read_.days == {9}
    assert read_.years == {2024}
    assert read("What may I march to?", APP).months == frozenset()
    assert read("And on 2025-02-14?", APP).months == {2}


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("What did I say yesterday?", (date(2025, 3, 19), date(2025, 3, 19))),
        ("What did I say last week?", (date(2025, 3, 10), date(2025, 3, 16))),
        ("What did I say last month?", (date(2025, 2, 1), date(2025, 2, 28))),
        ("What did I say last year?", (date(2024, 1, 1), date(2024, 12, 31))),
        ("What did I say this month?", (date(2025, 3, 1), date(2025, 3, 20))),
        ("What did I say two weeks ago?", (date(2025, 3, 3), date(2025, 3, 9))),
        ("What did I say?", None),
    ],
)
def test_relative_times(question: str, span: tuple[date, date] | None) -> None:
    assert read(question, APP, NOW).span == span
