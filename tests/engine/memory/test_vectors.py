"""Vectors beside an index: which message they belong to, and how near they are to a question."""

from __future__ import annotations

import numpy as np
import pytest

from engine.memory.index import Entry, LexicalIndex
from engine.memory.vectors import Vectors
from storage.message_vectors import KeptVector

EAST = np.array([1, 0], np.float32)


def index_of(*keys: int) -> LexicalIndex:
    index = LexicalIndex()
    for place, key in enumerate(keys):
        index.add(Entry(key=key, session="s", position=place, speaker="user", text="a", at=0.0))
    return index


def kept(number: int, key: int, *values: float) -> KeptVector:
    vector = np.array(values, "<f4")
    return KeptVector(number, key, (vector / np.linalg.norm(vector)).tobytes())


def nearness(vectors: Vectors, index: LexicalIndex) -> list[float]:
    assert vectors.serve(index, EAST)
    found: list[float] = vectors.nearness(EAST, np.arange(len(index))).tolist()
    return found


def test_vectors_find_their_messages_in_whatever_order_these_came() -> None:
    index = index_of(7, 3, 5)
    vectors = Vectors()
    vectors.put(index, [kept(1, 3, 1, 0), kept(2, 5, 0, 1), kept(3, 7, 1, 1)])
    assert nearness(vectors, index) == pytest.approx([0.5**0.5, 1, 0])
    assert vectors.newest == 3


def test_a_vector_waits_for_its_message() -> None:
    index = index_of(1)
    vectors = Vectors()
    vectors.put(index, [kept(1, 1, 1, 1), kept(2, 2, 1, 0)])
    index.add(Entry(key=2, session="s", position=1, speaker="user", text="b", at=0.0))
    vectors.put(index, [])
    assert nearness(vectors, index) == pytest.approx([0.5**0.5, 1])


def test_a_message_without_a_vector_is_as_near_as_the_others_on_average() -> None:
    index = index_of(1, 2, 3)
    vectors = Vectors()
    vectors.put(index, [kept(1, 1, 1, 0), kept(2, 3, 1, 1)])
    assert nearness(vectors, index)[1] == pytest.approx((1 + 0.5**0.5) / 2)


def test_few_vectors_serve_nobody() -> None:
    index = index_of(1, 2, 3)
    vectors = Vectors()
    vectors.put(index, [kept(1, 1, 1, 0)])
    assert not vectors.serve(index, EAST)
    assert not vectors.serve(index, None)


def test_vectors_of_another_length_take_the_place_of_all() -> None:
    index = index_of(1, 2)
    vectors = Vectors()
    vectors.put(index, [kept(1, 1, 1, 0), kept(2, 2, 1, 0)])
    vectors.put(index, [kept(3, 1, 1, 0, 0), kept(4, 2, 1, 0, 0)])
    assert not vectors.serve(index, EAST)
    assert vectors.serve(index, np.array([1, 0, 0], np.float32))


def test_a_message_is_near_by_its_neighbours() -> None:
    index = index_of(1, 2, 3)
    vectors = Vectors()
    vectors.put(index, [kept(1, 1, 0, 1), kept(2, 2, 0, 1), kept(3, 3, 1, 0)])
    assert vectors.serve(index, EAST)
    near = vectors.window_nearness(EAST, index, np.arange(3))
    assert near[0] == pytest.approx(0)
    assert near[1] == pytest.approx(0.5 / np.hypot(0.5, 1.5))
    assert near[2] == pytest.approx(1 / np.hypot(1, 0.5))
