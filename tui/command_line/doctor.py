"""`scrubjay doctor`: whether everything is as it should be, a line each."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING

from engine import __version__
from engine.doctor import Finding, State, examine, repair
from tui.command_line.console import Exit, complain, say, say_json

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths

MARKS = {State.OK: "✓", State.NOTE: "·", State.PROBLEM: "✗"}
SMALLEST = (80, 24)


def doctor(options: argparse.Namespace, paths: Paths) -> int:
    """Print the findings. The exit code is 1 when something needs doing.

    Raises:
        StorageError: A repair was asked for, and is not possible.
    """
    if options.repair:
        repaired, kept = asyncio.run(repair(paths))
        sessions, messages = repaired.rows["sessions"], repaired.rows["messages"]
        complain(f"Saved {sessions} sessions and {messages} messages. The old file is {kept}.")
    findings = [_program(), _terminal(), *asyncio.run(examine(paths))]
    if options.json:
        say_json(findings)
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            say(f"{MARKS[finding.state]} {finding.name:<{width}} {finding.text}")
            if finding.next_step:
                say(f"  {'':<{width}} → {finding.next_step}")
    amiss = any(finding.state is State.PROBLEM for finding in findings)
    return Exit.FAILED if amiss else Exit.DONE


def _program() -> Finding:
    text = f"Scrubjay {__version__}, Python {platform.python_version()} ({sys.executable})"
    return Finding(name="program", state=State.OK, text=text)


def _terminal() -> Finding:
    kind = os.environ.get("TERM", "")
    if not sys.stdout.isatty():
        return Finding(
            name="terminal",
            state=State.NOTE,
            text="the output goes to no terminal; the screen needs one, `scrubjay ask` does not",
        )
    if kind in ("", "dumb"):
        return Finding(
            name="terminal",
            state=State.PROBLEM,
            text=f"TERM is {kind!r}: this terminal can't draw the screen",
            next_step="Use another terminal, or `scrubjay chat`.",
        )
    if "utf" not in sys.stdout.encoding.lower():
        return Finding(
            name="terminal",
            state=State.PROBLEM,
            text=f"its encoding is {sys.stdout.encoding}, not UTF-8",
            next_step="Set LANG to a UTF-8 locale, such as C.UTF-8.",
        )
    size = shutil.get_terminal_size()
    text = f"{kind}, {size.columns}×{size.lines}, {_colours(kind)}"
    if size.columns < SMALLEST[0] or size.lines < SMALLEST[1]:
        return Finding(
            name="terminal",
            state=State.NOTE,
            text=text,
            next_step=f"The screen is made for {SMALLEST[0]}×{SMALLEST[1]} and more.",
        )
    if os.environ.get("NO_COLOR"):
        return Finding(
            name="terminal", state=State.NOTE, text=text, next_step="For colours, unset NO_COLOR."
        )
    if text.endswith("16 colours"):
        return Finding(
            name="terminal",
            state=State.NOTE,
            text=text,
            next_step="If it shows more of them, set COLORTERM to truecolor.",
        )
    return Finding(name="terminal", state=State.OK, text=text)


def _colours(kind: str) -> str:
    """What the screen will be drawn in, as Rich decides it."""
    if os.environ.get("NO_COLOR"):
        return "without colours"
    named = os.environ.get("COLORTERM", "").strip().lower()
    if named in ("truecolor", "24bit"):
        return "truecolor"
    return "256 colours" if kind.endswith("256color") or kind == "xterm-kitty" else "16 colours"
