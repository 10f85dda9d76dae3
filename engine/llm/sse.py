"""Server-sent events as language model servers use them: one JSON text in each event's data.

The format is WHATWG's (HTML Living Standard, section 9.2), of which only `data` matters here. Lines
may end in LF or CRLF; a lone CR, which the standard also allows, is sent by no such server.
"""

from __future__ import annotations

LONGEST_EVENT = 16 * 2**20
"""Bytes. No honest event comes near; without a bound, a server that never ends its line would fill
the memory."""


class EventTooLongError(Exception):
    """An event grew past `LONGEST_EVENT`."""


class EventDecoder:
    """Takes a byte stream in pieces, cut anywhere, even inside a character."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[str]:
        """The data of the events that this piece completes.

        Comments and other fields pass silently. An event that is never completed never shows, as
        the standard wants it.

        Raises:
            EventTooLongError: An event is longer than `LONGEST_EVENT`.
        """
        # Only the new piece is searched, so a long line in many pieces costs no more than its size.
        searched = len(self._rest)
        self._rest += piece
        begin = 0
        complete: list[str] = []
        while (end := self._rest.find(b"\n", max(begin, searched))) >= 0:
            line = bytes(self._rest[begin:end]).removesuffix(b"\r")
            begin = end + 1
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
            elif not line and self._data:
                complete.append(b"\n".join(self._data).decode("utf-8", errors="replace"))
                self._data, self._size = [], 0
        del self._rest[:begin]
        if len(self._rest) + self._size > LONGEST_EVENT:
            raise EventTooLongError
        return complete
