"""Ids of what comes in: the same each time, in the order of time, and like all others."""

from __future__ import annotations

from uuid import UUID

from storage.ids import new_id, stable_id


def test_the_same_origin_and_time_have_the_same_id_and_others_another() -> None:
    made = {stable_id(origin, at) for origin in ("a", "b", "\ud83d", "") for at in (0.0, 1.5, 2.0)}
    assert len(made) == 12
    assert stable_id("a", 1.5) in made
    assert all(UUID(one).version == 8 and UUID(one).hex == one for one in made)


def test_ids_of_both_kinds_sort_by_time() -> None:
    before, after = stable_id("z", 1_700_000_000.001), stable_id("a", 1_700_000_000.002)
    assert before < after < new_id()
    assert stable_id("a", 4_000_000_000.0) > new_id()


def test_times_beyond_what_an_id_holds_are_the_last_and_the_first() -> None:
    for at in (-1e9, 1e300):
        assert UUID(stable_id("a", at)).version == 8
