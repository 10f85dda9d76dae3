"""Which words make a statement, whoever makes it."""

from __future__ import annotations

from engine.memory.forgetting import Target
from engine.memory.striking import FORGOTTEN, stems, without


def test_a_form_of_a_stop_word_says_as_little_as_that() -> None:
    assert stems("The user likes green tea.") == stems("The user like green tea.")


def test_what_is_told_of_a_user_is_struck_out_of_what_the_user_said() -> None:
    target = Target.of("The user likes green tea.", "tea")
    for words in (target.point, target.whole):
        assert without("Hello. I like green tea.", words, FORGOTTEN) == f"Hello. {FORGOTTEN}"
