"""The loaded sessions keep their order and miss nothing, whatever comes in between two pages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records import Session
from tui.widgets.days import Days
from tui.widgets.loaded_sessions import LoadedSessions

PAGE = 3


class Shelf:
    """What the store would hold and page out."""

    def __init__(self, count: int) -> None:
        self.sessions = {str(n): made(str(n), at=n) for n in range(count)}
        self.clock = float(count)

    def listed(self) -> list[Session]:
        living = [one for one in self.sessions.values() if one.deleted_at is None]
        return sorted(living, key=lambda one: (one.updated_at, one.id), reverse=True)

    def page(self, before: Session | None) -> list[Session]:
        after = [
            one
            for one in self.listed()
            if before is None or (one.updated_at, one.id) < (before.updated_at, before.id)
        ]
        return after[:PAGE]

    def change(self, session_id: str, *, deleted: bool, used: bool) -> Session:
        old = self.sessions[session_id]
        self.clock += 1
        new = made(
            session_id,
            at=self.clock if used else old.updated_at,
            version=old.version + 1,
            deleted=deleted,
        )
        self.sessions[session_id] = new
        return new


def made(session_id: str, *, at: float, version: int = 1, deleted: bool = False) -> Session:
    return Session(
        id=session_id,
        title=f"version {version}",
        version=version,
        created_at=0,
        updated_at=at,
        deleted_at=1.0 if deleted else None,
    )


# Between reading a page and adding it, any of these may happen to a session.
HAPPENINGS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(["use", "rename", "delete", "restore"])),
    max_size=6,
)


@given(st.lists(st.tuples(HAPPENINGS, HAPPENINGS), max_size=6))
def test_ends_with_all_sessions_in_order(rounds: list[tuple[list[tuple[int, str]], ...]]) -> None:
    shelf, loaded = Shelf(12), LoadedSessions()

    def happen(happenings: list[tuple[int, str]]) -> None:
        for number, what in happenings:
            changed = shelf.change(str(number), deleted=what == "delete", used=what == "use")
            if what == "delete":
                loaded.remove(changed.id)
            else:
                loaded.change(changed)

    for before, during in rounds:
        happen(before)
        page = shelf.page(loaded.reached)
        happen(during)
        if not loaded.complete:
            loaded.add_page(page, complete=len(page) < PAGE)
    while not loaded.complete:
        page = shelf.page(loaded.reached)
        loaded.add_page(page, complete=len(page) < PAGE)
    assert list(loaded) == shelf.listed()


def noon(year: int, month: int, day: int) -> float:
    return time.mktime((year, month, day, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("moment", "group", "within", "short"),
    [
        (noon(2026, 3, 4), "Today", "12:00", "12:00"),
        (noon(2026, 3, 3), "Yesterday", "12:00", "Tue"),
        (noon(2026, 3, 2), "Monday", "12:00", "Mon"),
        (noon(2026, 2, 26), "Thursday", "12:00", "Thu"),
        (noon(2026, 2, 25), "February", "Wed 25", "25 Feb"),
        (noon(2026, 1, 1), "January", "Thu 1", "1 Jan"),
        (noon(2025, 12, 31), "December 2025", "Wed 31", "Dec 2025"),
        (noon(2026, 3, 5), "Today", "12:00", "12:00"),  # a clock that ran ahead
    ],
)
def test_days_have_the_names_that_people_give_them(
    moment: float, group: str, within: str, short: str
) -> None:
    days = Days(noon(2026, 3, 4))
    name, begin = days.group(moment)
    assert (name, days.within_group(moment), days.short(moment)) == (group, within, short)
    assert begin <= moment
    assert days.group(begin)[0] == group
    assert days.group(begin - 1)[0] != group
