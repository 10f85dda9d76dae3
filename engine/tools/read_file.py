"""Files that the user has opened to the assistant."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from engine.tools.opening import open_below
from engine.tools.registry import ToolContext, ToolError, tool

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST_BYTES = 1_000_000


@tool(consent=True, scope="path", compacts_to="File content from {path}. Re-read if needed.")
async def read_file(
    context: ToolContext, path: Annotated[str, "Absolute, or relative to an allowed folder"]
) -> str:
    """Read a text file below one of the folders that the user has allowed."""
    return await asyncio.to_thread(_read, path, context.folders)


def _read(path: str, folders: Sequence[Path]) -> str:
    if not folders:
        raise ToolError("No folder is allowed. The user can name some in the settings.")
    root, file = _find(path, folders)
    try:
        with open_below(root, file) as opened:
            content = opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ToolError(f"{path} can't be read: {error.strerror}.") from None
    if b"\0" in content:
        raise ToolError(f"{path} is not a text file.")
    text = content[:LARGEST_BYTES].decode("utf-8", errors="replace")
    return text if len(content) <= LARGEST_BYTES else f"{text}\n[… the file is longer]"


def _find(path: str, folders: Sequence[Path]) -> tuple[Path, Path]:
    """The allowed folder that a file lies below, and the real file, links and `..` resolved."""
    try:
        for folder in folders:
            root = folder.expanduser().resolve()
            named = root / Path(path).expanduser()
            file = named.resolve()
            if file.is_relative_to(root) and file.is_file():
                if named.is_symlink() and file.parent != named.parent.resolve():
                    # Consent is given for folders; this would lead out of one unseen.
                    raise ToolError(f"{path} is a link to {file}. Ask for that file itself.")
                return root, file
    except (OSError, ValueError, RuntimeError):  # a loop of links, a NUL, a name too long
        raise ToolError(f"{path!r} is no usable path.") from None
    # Whether a file outside exists is none of the model's business.
    raise ToolError(f"There is no file {path} below the allowed folders.")
