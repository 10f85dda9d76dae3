"""Heights add up, known or estimated."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from tui.transcript.heights import Heights

steps = st.lists(
    st.one_of(
        st.just("append"),
        st.just("estimate"),
        st.tuples(st.integers(0, 200), st.integers(1, 50)),
    ),
    max_size=60,
)


@given(count=st.integers(0, 40), steps=steps)
def test_sums_and_lookups_agree_with_plain_lists(
    count: int, steps: list[str | tuple[int, int]]
) -> None:
    heights = Heights(count, estimate=6)
    plain: list[int | None] = [None] * count
    estimate = 6
    for step in steps:
        if step == "append":
            heights.append()
            plain.append(None)
        elif step == "estimate":
            heights.improve_estimate()
            known = [height for height in plain if height is not None]
            if known:
                estimate = max(1, round(sum(known) / len(known)))
        elif plain and isinstance(step, tuple):
            index, height = step[0] % len(plain), step[1]
            heights.measure(index, height)
            plain[index] = height

    expected = [estimate if height is None else height for height in plain]
    tops = [0, *accumulate(expected)]
    assert [heights[index] for index in range(len(heights))] == expected
    assert [heights.top(index) for index in range(len(heights) + 1)] == tops
    assert heights.total == tops[-1]
    for index, height in enumerate(expected):
        assert heights.at(tops[index]) == index
        assert heights.at(tops[index] + height - 1) == index
    if expected:
        assert heights.at(tops[-1] + 5) == len(expected) - 1


def test_a_message_is_measured_once_its_height_is_set() -> None:
    heights = Heights(3)
    heights.measure(1, 4)
    assert [heights.is_measured(index) for index in range(3)] == [False, True, False]
