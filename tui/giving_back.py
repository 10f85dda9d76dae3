"""The terminal given back after the program was killed, by a process that outlives it.

What ends in order, Textual restores itself. SIGKILL, a crash of native code or the system's want of
memory leave no time for that: the shell would get no echo, and a report of every move of the mouse.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

OFF = (
    "\x1b[?2026l"  # drawing at once
    "\x1b[?2004l\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?1004l\x1b[?2048l"
    "\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m"
)
"""What Textual turns on, turned off (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html)."""

WATCH = """
import ast, os, sys, termios
settings, off = ast.literal_eval(sys.argv[1])
if not os.read(0, 1):
    try:
        termios.tcsetattr(1, termios.TCSANOW, settings)
        os.write(1, off)
    except (OSError, termios.error):
        pass
"""
"""Waits for a word that all is well, or for the end of whoever would have said it."""


@asynccontextmanager
async def giving_back(after: float) -> AsyncIterator[None]:
    """Have the terminal given back, should the program be killed within.

    Args:
        after: Seconds until somebody watches, so that the first frame does not wait for it.
    """
    settings = _settings()
    if settings is None:
        yield
        return
    watching = asyncio.create_task(_watch(repr((settings, OFF.encode())), after))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(told: str, after: float) -> None:
    await asyncio.sleep(after)
    starting = asyncio.ensure_future(asyncio.to_thread(_start, told))
    try:
        await asyncio.shield(starting)
        await asyncio.Event().wait()
    except OSError as error:
        log.warning("nobody watches over the terminal: %s", error)
    finally:
        with suppress(OSError):
            (await starting).communicate(b".")


def _start(told: str) -> subprocess.Popen[bytes]:
    """A process that no signal to this one's group reaches."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WATCH, told],
        stdin=subprocess.PIPE,
        stdout=sys.__stderr__,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _settings() -> list[Any] | None:
    """How the terminal is set; None where there is none, or none that is set this way."""
    if sys.platform == "win32" or sys.__stderr__ is None:
        return None
    import termios

    try:
        return termios.tcgetattr(sys.__stderr__)
    except (OSError, ValueError, termios.error):
        return None
