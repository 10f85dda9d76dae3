"""What was read and written lately, in memory: it can be read while the server is out of reach."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.records import Message, Session

SESSIONS = 200
MESSAGES = 1_000
IMAGE_BYTES = 32_000_000


class Mirror:
    """The latest sessions, messages and images that this program has seen."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._messages: OrderedDict[str, Message] = OrderedDict()
        self._shown: dict[tuple[str, int], str] = {}
        self._images: OrderedDict[str, bytes] = OrderedDict()

    def saw_session(self, session: Session) -> None:
        """Note a session as it is now."""
        self._sessions[session.id] = session
        self._sessions.move_to_end(session.id)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)

    def saw_messages(self, messages: Iterable[Message]) -> None:
        """Note shown messages as they are now."""
        for message in messages:
            self._messages[message.id] = message
            self._messages.move_to_end(message.id)
            self._shown[message.session_id, message.position] = message.id
        while len(self._messages) > MESSAGES:
            _, old = self._messages.popitem(last=False)
            if self._shown.get((old.session_id, old.position)) == old.id:
                del self._shown[old.session_id, old.position]

    def saw_image(self, sha256: str, data: bytes) -> None:
        """Note an image."""
        self._images[sha256] = data
        self._images.move_to_end(sha256)
        while sum(map(len, self._images.values())) > IMAGE_BYTES:
            self._images.popitem(last=False)

    def appended(self, message: Message) -> None:
        """Note a message that was appended, and is the last of its session."""
        self.saw_messages([message])
        session = self._sessions.get(message.session_id)
        if session is not None:
            self.saw_session(
                msgspec.structs.replace(
                    session,
                    message_count=message.position + 1,
                    updated_at=max(session.updated_at, message.created_at),
                    version=session.version + 1,
                )
            )

    def changed(self, message: Message) -> None:
        """Note a message that was changed."""
        if message.id in self._messages:
            self._messages[message.id] = message

    def forget(self, session_id: str) -> None:
        """Drop a session, as another branch of it is shown or somebody else changed it."""
        self._sessions.pop(session_id, None)
        for place in [place for place in self._shown if place[0] == session_id]:
            self._messages.pop(self._shown.pop(place), None)

    def session(self, session_id: str) -> Session | None:
        """A session, if it was seen."""
        return self._sessions.get(session_id)

    def sessions(self) -> list[Session]:
        """The sessions that were seen and are in the list, the latest first."""
        listed = [
            one
            for one in self._sessions.values()
            if one.archived_at is None and one.deleted_at is None
        ]
        return sorted(listed, key=lambda one: (one.updated_at, one.id), reverse=True)

    def message(self, message_id: str) -> Message | None:
        """A message, if it was seen."""
        return self._messages.get(message_id)

    def image(self, sha256: str) -> bytes | None:
        """The bytes of an image, if it was seen."""
        return self._images.get(sha256)

    def page(self, session_id: str, start: int, stop: int) -> list[Message] | None:
        """The shown messages at these positions; None unless all were seen."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        places = range(max(0, start), min(stop, session.message_count))
        found = [self._shown.get((session_id, place)) for place in places]
        return [self._messages[one] for one in found if one] if all(found) else None
