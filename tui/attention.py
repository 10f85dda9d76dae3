"""Calling the user back: a notification by the terminal when an answer ends out of their sight.

The sequences: OSC 9 is iTerm2's (https://iterm2.com/documentation-escape-codes.html), OSC 777 is
urxvt's (its `notify` extension). A terminal that knows neither gets the bell.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from engine.events import AnswerEnded, ConsentNeeded, Event
from storage.errors import StorageError
from storage.records import Finish
from tui.harmless import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tui.app import ScrubjayApp

BELL = "\a"
LONGEST = 120

OSC_9 = frozenset({"iterm.app", "wezterm", "ghostty", "warpterminal", "rio"})
"""Values of TERM_PROGRAM, in lower case, of terminals that notify by OSC 9."""

OSC_777 = ("foot", "rxvt", "contour")
"""Beginnings of TERM of those that notify by OSC 777."""


class Attention:
    """Follows the engine, and calls when the app is not the window in use."""

    def __init__(self, app: ScrubjayApp, write: Callable[[str], None]) -> None:
        self._app = app
        self._write = write
        self._unsubscribe = app.engine.events.subscribe(self._hear)

    def end(self) -> None:
        """Follow the engine no more."""
        self._unsubscribe()

    def _hear(self, event: Event) -> None:
        seconds = self._app.engine.settings.ui.notify_after_seconds
        if self._app.app_focus or not seconds:
            return
        match event:
            case ConsentNeeded(session_id=session_id):
                self._call(session_id, "a tool call waits for you")
            case AnswerEnded(message=message) if not message.tool_calls:
                if time.time() - message.created_at >= seconds:
                    failed = message.finish is Finish.FAILED
                    self._call(message.session_id, "no answer" if failed else "the answer is there")

    def _call(self, session_id: str, what: str) -> None:
        async def call() -> None:
            try:
                title = (await self._app.engine.library.session(session_id)).title
            except StorageError:
                title = ""
            self._write(notification(f"{title}: {what}" if title else what))

        self._app.run_worker(call(), group="attention")


def notification(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """What to write to the terminal that it may notify the user."""
    text = " ".join(visible(text).split())[:LONGEST]
    program = environ.get("TERM_PROGRAM", "").lower()
    term = environ.get("TERM", "")
    if environ.get("TMUX"):
        # tmux passes on what is wrapped so, if `allow-passthrough` is on; the bell it always takes.
        return f"\x1bPtmux;\x1b\x1b]9;{text}\a\x1b\\{BELL}"
    if program in OSC_9 or environ.get("WT_SESSION") or term == "xterm-kitty":
        return f"\x1b]9;{text}\a"
    if term.startswith(OSC_777):
        return f"\x1b]777;notify;Scrubjay;{text.replace(';', ',')}\a"
    return BELL
