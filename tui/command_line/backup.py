"""`scrubjay backup`: everything that is kept, copied to a file while the app may be running."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui.command_line.console import CommandError, Exit, say
from tui.command_line.running import opened

if TYPE_CHECKING:
    import argparse

    from engine.config import Paths, Settings


async def backup(options: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Copy the database to a new file.

    Raises:
        CommandError: There is such a file, or it can't be written.
        StorageError: The database can't be used.
    """
    file = Path(options.file)
    async with opened(settings, paths) as engine:
        try:
            await engine.library.backup(file)
        except FileExistsError:
            raise CommandError(f"{file} is there already.", "Name a new file.") from None
        except OSError as error:
            raise CommandError(f"{file} can't be written: {error.strerror}.") from None
        figures = await engine.library.figures()
    say(f"Copied {figures.sessions:,} conversations to {file}.")
    return Exit.DONE
