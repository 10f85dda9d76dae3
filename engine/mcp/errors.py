"""What can be wrong with a server."""

from __future__ import annotations


class ServerError(Exception):
    """A server can't do it. The message completes a sentence that begins with its name.

    Attributes:
        lost: Whether the connection is of no use any more.
    """

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost
