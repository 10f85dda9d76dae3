"""Every place that text from elsewhere goes through is given texts that are made to harm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import tried
from tests.fuzz.places import PLACES
from tests.fuzz.texts import CORPUS, changed, hostile

if TYPE_CHECKING:
    from collections.abc import Callable

INPUTS = int(os.environ.get("SCRUBJAY_FUZZ_INPUTS", "150"))
"""How many a place; what is added up is printed when the tests are over."""

BUDGET = settings(
    max_examples=INPUTS, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_text_does_harm(place: Callable[[str], None]) -> None:
    for text in CORPUS.values():
        tried.count(place.__name__)
        place(text)

    @BUDGET
    @given(st.one_of(hostile, changed()))
    def give(text: str) -> None:
        tried.count(place.__name__)
        place(text)

    give()
