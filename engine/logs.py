"""The log file: what went wrong and when, without anybody's words."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from engine.config import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 1_000_000
"""Bytes; then the log is set aside as `scrubjay.log.1`, in the place of the one before."""

OURS = ("tui", "engine", "storage")


def set_up(file: Path, level: str) -> None:
    """Log into `file`, and nowhere else: the terminal belongs to the screen.

    Args:
        file: The log file; its folder is made.
        level: `debug`, `info`, `warning` or `error`, for the program's own messages. Libraries,
            which might quote a request, are heard from `warning` on.

    Raises:
        SettingsError: There is no such level.
        OSError: The file can't be written. Nothing is logged then.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise SettingsError(f"log.level is {level!r}; use debug, info, warning or error.")
    root = logging.getLogger()
    for handler in tuple(root.handlers):
        root.removeHandler(handler)
    # A full disk must not scribble over the screen.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # For its owner alone, as everything else is.
        os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        kept = RotatingFileHandler(file, maxBytes=LONGEST, backupCount=1, encoding="utf-8")
    except OSError:
        root.addHandler(logging.NullHandler())
        raise
    kept.setFormatter(
        logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    )
    root.addHandler(kept)
