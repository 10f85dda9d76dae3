"""The part of the library that a session list has loaded: the newest sessions, kept in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage.records import Session


class LoadedSessions:
    """Sessions, newest first, without a gap down to where the pages have come.

    Pages and news arrive in any order; of one session the higher version counts.

    Attributes:
        reached: The last session of the last page: the next page begins after it.
        complete: Whether there are no older ones.
    """

    def __init__(self) -> None:
        self.reached: Session | None = None
        self.complete = False
        self._by_id: dict[str, Session] = {}
        self._order: list[tuple[float, str]] = []  # ascending, as bisect wants it
        self._beyond: dict[str, Session] = {}  # changed, and not reached yet
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Session]:
        return (self._by_id[session_id] for _, session_id in reversed(self._order))

    def get(self, session_id: str) -> Session | None:
        """The session of that id, if it is loaded."""
        return self._by_id.get(session_id)

    def add_page(self, page: Sequence[Session], *, complete: bool) -> None:
        """Add the sessions that follow `reached`."""
        if page:
            self.reached = page[-1]
        self.complete = complete
        for session in page:
            if session.id not in self._gone:
                self._put(self._beyond.pop(session.id, session))
        for session in tuple(self._beyond.values()):
            self.change(session)

    def change(self, session: Session) -> None:
        """Take in what has become of a session; one that no page has reached yet waits for it."""
        if session.deleted_at is not None or session.archived_at is not None:
            self.remove(session.id)
            return
        self._gone.discard(session.id)
        if session.id in self._by_id or self._is_reached(session):
            self._beyond.pop(session.id, None)
            self._put(session)
        else:
            self._beyond[session.id] = session

    def remove(self, session_id: str) -> None:
        """Take a session out, and keep a page that is under way from bringing it back."""
        self._gone.add(session_id)
        self._beyond.pop(session_id, None)
        if (session := self._by_id.pop(session_id, None)) is not None:
            self._unplace(session)

    def _is_reached(self, session: Session) -> bool:
        if self.complete:
            return True
        return self.reached is not None and _place(session) >= _place(self.reached)

    def _put(self, session: Session) -> None:
        known = self._by_id.get(session.id)
        if known is not None:
            if known.version > session.version:
                return
            self._unplace(known)
        self._by_id[session.id] = session
        insort(self._order, _place(session))

    def _unplace(self, session: Session) -> None:
        del self._order[bisect_left(self._order, _place(session))]


def _place(session: Session) -> tuple[float, str]:
    return session.updated_at, session.id
