"""`scrubjay storage copy`: everything that is kept, from a file to a server or back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.place import copy
from tui.command_line.console import Exit, Progress, say, say_json

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths, Settings


async def storage(options: argparse.Namespace, _settings: Settings, _paths: Paths) -> int:
    """Copy one store into another, and say how much it was.

    Raises:
        StorageError: One can't be used, the other holds something already, or they differ.
    """
    with Progress() as progress:
        copied = await copy(
            options.source,
            options.target,
            lambda what, done, total: progress.show(
                f"{what}: {done:,} of {total:,}", min(done / total, 1.0) if total else None
            ),
        )
    if options.json:
        say_json(copied)
        return Exit.DONE
    sessions, messages = copied.rows["sessions"], copied.rows["messages"]
    say(
        f"Copied {sessions:,} conversations with {messages:,} messages; every table has the same"
        " rows, by number and by checksum."
    )
    return Exit.DONE
