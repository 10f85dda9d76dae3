"""JSON that is read a value at a time, so that a file may be larger than the memory."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

CHUNK = 1 << 20
"""Characters that are read at a time, at first."""

_SPACE = re.compile(r"[ \t\n\r\ufeff]*")

_NEAR = 16
"""An error so many characters from the end of what was read may only mean that more is to come."""


class JsonStream:
    """The values of a JSON text, read forward.

    Everything raises a `ValueError` where the text is no JSON.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string")
                if not cut and error.pos < len(self._text) - _NEAR:
                    raise
                if not self._more():
                    raise
            except RecursionError:
                raise ValueError("it is nested too deeply") from None
            else:
                # A number that ends where the text read so far does may go on, as in `1.` and `5`.
                whole = end < len(self._text) and self._text[end] not in ".eE"
                if whole or not self._more():
                    self._at = end
                    return value

    def array(self) -> Iterator[Any]:
        """The values of the array that comes next."""
        for _ in self.places():
            yield self.value()

    def places(self) -> Iterator[None]:
        """Stops before each value of the array that comes next; the caller reads it."""
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._take(",]") == "]":
                return

    def fields(self) -> Iterator[str]:
        """The keys of the object that comes next; the caller reads each one's value."""
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise ValueError("a key is missing")
            key = self.value()
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def _take(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            raise ValueError(f"{characters[0]!r} is missing" if found else "it ends too early")
        self._at += 1
        return found

    def _more(self) -> bool:
        """Read as much again as is not used up yet; so a long value is looked through twice."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        more = self._file.read(max(CHUNK, len(rest)))
        self._ended = not more
        self._text, self._at = rest + more, 0
        return not self._ended
