"""A real terminal for a real program: keys go in, and what would be seen can be read.

The program runs on a pseudo-terminal of its own, in a session of its own; `pyte` (a VT220 and more)
draws what it puts out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from typing import TYPE_CHECKING

import psutil
import pyte

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

AS_USUAL = {"7", "25"}
"""Modes that are on in a terminal at rest: lines wrap, and the cursor is shown."""

PATIENCE = 60.0
"""Seconds until something that is waited for is given up."""


class Terminal:
    """A terminal with a program in it. A context manager, which leaves no process behind.

    Attributes:
        everything: What the program has put out, as bytes.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        columns: int = 120,
        lines: int = 40,
    ) -> None:
        self.everything = bytearray()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._open = True
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(command[0], list(command), dict(env))
            finally:
                os._exit(127)
        self._process = psutil.Process(self.pid)
        self._family = {self._process}
        self._line_before = termios.tcgetattr(self._terminal)
        self.resize(columns, lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._note_family()
        for process in self._family:
            if process.is_running():
                process.kill()
        if self._terminal >= 0:
            os.close(self._terminal)
        if self._open:
            os.waitpid(self.pid, 0)

    @property
    def text(self) -> str:
        """What is on the screen now, a line a row."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def left_on(self) -> list[str]:
        """What a shell would find changed now: modes that were turned on and not off, and others.

        The modes are those of https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, and kitty's
        keyboard protocol.
        """
        last = dict(re.findall(rb"\x1b\[\?(\d+)([hl])", bytes(self.everything)))
        on = [mode.decode() for mode, set_or_not in last.items() if set_or_not == b"h"]
        off = [mode.decode() for mode, set_or_not in last.items() if set_or_not == b"l"]
        found = [f"mode {mode}" for mode in on if mode not in AS_USUAL]
        found += [f"no mode {mode}" for mode in off if mode in AS_USUAL]
        pushed = len(re.findall(rb"\x1b\[>\d+u", bytes(self.everything)))
        popped = len(re.findall(rb"\x1b\[<\d*u", bytes(self.everything)))
        if pushed > popped:
            found.append("kitty keyboard")
        if termios.tcgetattr(self._terminal) != self._line_before:
            found.append("termios")
        return found

    def read_for(self, seconds: float) -> None:
        """Draw what comes within `seconds`, whatever it is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(0.05):
            pass

    def close(self) -> None:
        """Close the window: the program's terminal is gone."""
        self._note_family()
        os.close(self._terminal)
        self._terminal = -1

    def keys(self, text: str) -> None:
        """Press keys. A character is itself; `\\r` is Enter, `\\x1b` Escape, `\\x11` Ctrl+Q."""
        os.write(self._terminal, text.encode())

    def click(self, row: int, column: int) -> None:
        """Press and release the left button on a cell; rows and columns count from 0.

        Told as xterm's SGR mouse reports: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
        """
        place = f"{column + 1};{row + 1}"
        self.keys(f"\x1b[<0;{place}M\x1b[<0;{place}m")

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)
        self._screen.resize(lines, columns)

    def wait_for(self, wanted: str | Callable[[str], object], within: float = PATIENCE) -> str:
        """Read on until the screen shows `wanted`: a regular expression, or a condition on it.

        Returns the screen's text.

        Raises:
            AssertionError: It did not come in time, or the program ended first.
        """
        shows = wanted if callable(wanted) else lambda text: re.search(wanted, text)
        deadline = time.monotonic() + within
        while not shows(self.text):
            still_there = self._read(0.05)
            if not still_there and not shows(self.text):
                raise AssertionError(f"The program ended before {wanted} came:\n{self.text}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{wanted} did not come in {within:.0f} s:\n{self.text}")
        return self.text

    def wait_for_end(self, within: float = PATIENCE) -> int:
        """Read on until the program ends. Returns its exit code, or minus the signal that ended it.

        Raises:
            AssertionError: It did not end in time.
        """
        deadline = time.monotonic() + within
        while self._read(0.05):
            if time.monotonic() > deadline:
                raise AssertionError(f"It did not end in {within:.0f} s:\n{self.text}")
        _, status = os.waitpid(self.pid, 0)
        self._open = False
        return os.waitstatus_to_exitcode(status)

    def find(self, name: str) -> psutil.Process:
        """The program's own process or the descendant whose command line ends with `name`."""
        for process in (self._process, *self._process.children(recursive=True)):
            if any(word.endswith(name) for word in process.cmdline()):
                return process
        raise AssertionError(f"no {name} runs in this terminal")

    def kill(self, number: signal.Signals, name: str) -> None:
        """Send a signal to the process that `find` finds."""
        self._note_family()
        self.find(name).send_signal(number)

    def left_behind(self) -> list[psutil.Process]:
        """Processes that were the program's when `kill` was called, and still run."""
        return [
            process
            for process in self._family
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ]

    def _note_family(self) -> None:
        if self._process.is_running():
            self._family.update(self._process.children(recursive=True))

    def _read(self, seconds: float) -> bool:
        """Draw what comes within `seconds`. Returns whether the program holds the terminal."""
        while select.select([self._terminal], [], [], seconds)[0]:
            try:
                piece = os.read(self._terminal, 65536)
            except OSError as error:
                if error.errno != errno.EIO:  # how Linux says that the other end was closed
                    raise
                return False
            if not piece:
                return False
            self.everything += piece
            self._stream.feed(piece)
            # All that is there is drawn before anybody looks: a lagging picture misleads.
            seconds = 0.0
        return True
