"""Opening a file below a folder so that nothing can be put in its place on the way there."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_below(root: Path, file: Path) -> IO[bytes]:
    """Open a regular file to read.

    The way there is gone one name at a time, each from the folder that was opened before it, and no
    link is followed. So a link that somebody puts there between a check of the path and the opening
    leads nowhere. Where the system can't do that (Windows), the path is opened as it is.

    Args:
        root: A folder, links resolved.
        file: Below it, links resolved.

    Raises:
        OSError: It can't be opened, is no regular file, or a link is in the way.
        ValueError: The file is not below the folder.
    """
    names = file.relative_to(root).parts
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    # A pipe or a device would otherwise be waited for, or set something going.
    once = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if os.open not in os.supports_dir_fd:
        return _regular(os.open(file, flags))
    folder = os.open(root, flags | os.O_DIRECTORY)
    try:
        for name in names[:-1]:
            below = os.open(name, flags | os.O_DIRECTORY | once, dir_fd=folder)
            os.close(folder)
            folder = below
        return _regular(os.open(names[-1], flags | once, dir_fd=folder))
    finally:
        os.close(folder)


def _regular(descriptor: int) -> IO[bytes]:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(None, "it is no regular file")
    return os.fdopen(descriptor, "rb")
