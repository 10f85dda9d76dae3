"""How a person is told something: in the status line if it is short, else in a notice on top."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.harmless import visible
from tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.notifications import SeverityLevel

    from storage.errors import StorageError

SECONDS: Final[dict[SeverityLevel, float]] = {"information": 4, "warning": 8, "error": 12}
"""For so long each can be read."""


def tell(node: DOMNode, text: str, severity: SeverityLevel = "information") -> None:
    """Tell something for its time.

    What is short has the row of the status line, where it covers nothing that is being read. An
    error, a longer text, and what is said where there is no such line, is a notice.

    Args:
        node: Whatever has something to tell: a widget, a screen, the app.
        text: As it was made: it is never markup, and what it must not do to a terminal it does not.
        severity: How bad it is.
    """
    text = visible(text)
    line = next(iter(node.app.screen.query(StatusLine)), None)
    if line is not None and severity != "error" and line.has_room_for(text):
        line.tell(text, severity, SECONDS[severity])
    else:
        node.app.notify(text, severity=severity, timeout=SECONDS[severity], markup=False)


def tell_error(node: DOMNode, error: StorageError) -> None:
    """Tell what storage could not do, and what helps."""
    tell(node, f"{error.message} {error.next_step}".strip(), "error")
