"""How commands speak: answers on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from tui.figures import in_json

if TYPE_CHECKING:
    from typing import Self, TextIO


class Exit(IntEnum):
    """What a command's exit code means. A signal's is 128 and its number."""

    DONE = 0
    FAILED = 1
    USAGE = 2


class CommandError(Exception):
    """A command can't go on; `message` says why and `next_step` what to do."""

    def __init__(self, message: str, next_step: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code


def complain(message: str, next_step: str = "") -> None:
    """Say on standard error what went wrong, and on a line of its own what to do."""
    for line in filter(None, (f"scrubjay: {message}", next_step)):
        print(fit_for(sys.stderr, line), file=sys.stderr)


def say(text: str) -> None:
    """Print a line of result."""
    print(fit_for(sys.stdout, text))


def tell(text: str) -> None:
    """Say something beside the result, on standard error."""
    print(fit_for(sys.stderr, text), file=sys.stderr)


def ask(text: str) -> None:
    """Put a question or a prompt on standard error, and stay on its line."""
    sys.stderr.write(fit_for(sys.stderr, text))
    sys.stderr.flush()


def say_json(value: Any) -> None:
    """Print `value` as indented JSON. Records become objects, their times seconds since 1970."""
    say(in_json(value))


def write(text: str) -> None:
    """Put a piece of text out at once."""
    sys.stdout.write(fit_for(sys.stdout, text))
    sys.stdout.flush()


def fit_for(stream: TextIO, text: str) -> str:
    """`text` as it may go to `stream`.

    A terminal is shown control characters as pictures, for it would obey them; a pipe or a file
    gets every character as it is, but for those that its encoding lacks.
    """
    if stream.isatty():
        from tui.harmless import visible

        text = visible(text)
    return text.encode(stream.encoding, errors="replace").decode(stream.encoding)


class Progress:
    """How far something slow has come, on standard error: a bar on a terminal, else a line a step.

    Used as a context manager, it leaves a finished line behind. With `plain` the terminal is not
    drawn on, for somebody who has it read aloud.
    """

    WIDTH = 28
    STEPS = 10
    """Lines that a download is told in where there is no terminal."""

    def __init__(self, *, plain: bool = False) -> None:
        dumb = os.environ.get("TERM", "") in ("", "dumb")
        self._live = sys.stderr.isatty() and not plain and not dumb
        self._drawn = False
        self._step = -1
        self._next_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def show(self, label: str, share: float | None) -> None:
        """Tell that `share` (0 to 1) of `label` is done; None when that isn't known."""
        if self._live:
            self._draw(label, share)
        elif share is not None and int(share * self.STEPS) > self._step:
            self._step = int(share * self.STEPS)
            print(f"{label}: {share:.0%}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the bar as it is, and go to the next line."""
        if self._drawn:
            self._drawn = False
            print(file=sys.stderr, flush=True)

    def _draw(self, label: str, share: float | None) -> None:
        now = time.monotonic()
        if now < self._next_at and share != 1.0:
            return
        self._next_at = now + 0.1
        self._drawn = True
        filled = int((share or 0.0) * self.WIDTH)
        bar = "█" * filled + "░" * (self.WIDTH - filled)
        figure = "    " if share is None else f"{share:4.0%}"
        print(f"\r{bar} {figure} {label}", end="\x1b[K", file=sys.stderr, flush=True)
