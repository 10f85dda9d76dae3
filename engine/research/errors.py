"""Why a source gave nothing."""

from __future__ import annotations


class FetchError(Exception):
    """Something could not be fetched; the message is a short reason for the person at the screen.

    Attributes:
        kind: The reason's short stable name: `refused`, `timeout`, `too large`, `redirects`,
            `private address`, `status`, `busy`, `unreadable` …
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
