"""Images in the program that the system shows them with."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from engine.images import UnreadableImageError, measure

SECONDS = 5.0
"""An opener that has not ended by then has opened the image itself."""


class ViewerError(Exception):
    """An image can't be shown; the message says why, and what would work."""


class Viewer:
    """Shows images. They are written to a folder of their own, which `close` removes."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    async def show(self, sha256: str, data: bytes) -> None:
        """Show an image.

        Args:
            sha256: What names its file.
            data: Its bytes.

        Raises:
            ViewerError: It is damaged, or nothing here shows images.
        """
        try:
            suffix = measure(data).kind.removeprefix("image/")
        except UnreadableImageError as error:
            raise ViewerError(f"The image {error}.") from None
        try:
            file = await asyncio.to_thread(self._written, f"{sha256[:16]}.{suffix}", data)
            await _open(file)
        except OSError as error:
            raise ViewerError(f"The image can't be shown: {error.strerror or error}.") from None

    def close(self) -> None:
        """Remove what was written."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _written(self, name: str, data: bytes) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="scrubjay-"))
        file = self._folder / name
        file.write_bytes(data)
        return file


async def _open(file: Path) -> None:
    if sys.platform == "win32":
        os.startfile(file)
        return
    command = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            str(file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise ViewerError(
            f"There is no {command} here to show images with; /export html puts them into a page."
        ) from None
    try:
        code = await asyncio.wait_for(process.wait(), SECONDS)
    except TimeoutError:
        return
    if code:
        raise ViewerError(
            f"{command} found no program that shows it; /export html puts it into a page."
        )
