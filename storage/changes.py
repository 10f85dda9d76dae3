"""What a store tells whoever watches it: what others changed, and that it is out of reach."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class SessionTouched(msgspec.Struct, frozen=True):
    """A session, or a message in it, was changed by another program."""

    session_id: str


class AnythingTouched(msgspec.Struct, frozen=True):
    """Anything may have been changed by another program."""


class ConnectionChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The connection to the database was lost, or is back."""

    lost: bool
    waiting: int = 0
    """Writes that wait on this machine until it is back."""

    sent: int = 0
    """Writes that had waited, and are kept now."""

    refused: int = 0
    """Writes that had waited, and that the database did not take; they are kept in a file."""


Change: TypeAlias = SessionTouched | AnythingTouched | ConnectionChanged
