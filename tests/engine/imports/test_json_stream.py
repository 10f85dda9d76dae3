"""JSON that is read a value at a time is what `json` reads whole, wherever the file is cut."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.imports import json_stream
from engine.imports.json_stream import JsonStream

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def _in_small_pieces() -> Iterator[None]:
    before = json_stream.CHUNK
    json_stream.CHUNK = 3
    yield
    json_stream.CHUNK = before


@given(values=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]))
def test_an_array_is_read_a_value_at_a_time(values: list[Any], indent: int | None) -> None:
    stream = JsonStream(io.StringIO(json.dumps(values, indent=indent)))
    assert list(stream.array()) == values


@given(values=st.dictionaries(st.text(), VALUES, max_size=5))
def test_an_object_is_read_a_field_at_a_time(values: dict[str, Any]) -> None:
    stream = JsonStream(io.StringIO("\ufeff  " + json.dumps(values)))
    assert {key: stream.value() for key in stream.fields()} == values


@pytest.mark.parametrize(
    "text",
    ["", "[", "[1", "[1,", "[1 2]", '["a', "[tru]", "{}", "[1,]", '[{"a": 1, }, 2]', "[" * 9],
)
def test_what_is_no_array_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(JsonStream(io.StringIO(text)).array())


def test_an_error_early_in_a_long_text_does_not_read_the_rest() -> None:
    file = io.StringIO('[{"a": oops' + " " * 100 + "1," * 5000 + "1]")
    with pytest.raises(ValueError, match="Expecting value"):
        list(JsonStream(file).array())
    assert file.tell() < 1000
