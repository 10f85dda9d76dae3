"""Files that a message names with `@`: found while the name is being written, and put into it."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine import images

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_BYTES = 1_000_000
"""A larger file is refused: no model of this size of machine could read it."""

MOST_FILES = 20_000
"""So many names are looked at when a name is completed."""

DEEPEST = 8
"""Folders within folders that are looked into for that."""

FRESH_SECONDS = 10.0
"""For so long the names that were found need no looking again."""

LEFT_OUT = frozenset({"node_modules", "__pycache__", "venv", "build", "dist", "target"})
"""Folders that hold what nobody wrote, beside the hidden ones."""

MENTION = re.compile(r'(?<![^\s(\["])@(?:"([^"\n]+)"|([^\s"]+))')
"""`@notes.md` or `@"my notes.md"`, at the start of a word; `me@example.org` is none."""

STOPS = ".,;:!?)]'\""


class AttachmentError(Exception):
    """A file can't be put into a message; the message says which, why, and what would work."""


class Attached(NamedTuple):
    """A message with what it names."""

    text: str
    """With the texts that it names behind it, each under its name in a code block."""

    images: dict[str, bytes]
    """The images that it names, by their names."""


def with_files(text: str, folder: Path) -> Attached:
    """A message and the files that it names.

    A name that is no file's is left as it is: not every `@` means one.

    Args:
        text: What was written.
        folder: Where relative names begin.

    Raises:
        AttachmentError: A file is too large, is neither text nor an image, or can't be read.
    """
    blocks: dict[str, str] = {}
    pictures: dict[str, bytes] = {}
    for match in MENTION.finditer(text):
        found = _file(match[1] or match[2], folder)
        if found is not None and found[0] not in blocks and found[0] not in pictures:
            name, path = found
            if f"`{name}`:\n" in text or images.is_named(name, text):
                continue  # a question that is asked anew has it already
            content = _read(name, path)
            if isinstance(content, bytes):
                pictures[name] = content
                continue
            kind = path.suffix.removeprefix(".")
            blocks[name] = block(name, content, kind if kind.isalnum() else "")
    return Attached("\n\n".join([text, *blocks.values()]), pictures)


def block(name: str, content: str, kind: str = "") -> str:
    """A text under its name, in a code block that it can't end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", content)), default=0))
    return f"`{name}`:\n\n{fence}{kind}\n{content.rstrip()}\n{fence}"


def _file(name: str, folder: Path) -> tuple[str, Path] | None:
    """The file of a name, which may end where a sentence does."""
    while name:
        try:
            path = folder / Path(name).expanduser()
            if path.is_file():
                return name, path
        except (OSError, ValueError, RuntimeError):
            return None
        if name[-1] not in STOPS:
            return None
        name = name[:-1]
    return None


def _read(name: str, path: Path) -> str | bytes:
    """A text file's text, or an image's bytes."""
    try:
        with path.open("rb") as file:
            begun = file.read(12)
        is_image = images.is_image(begun)
        largest = images.LARGEST_BYTES if is_image else LARGEST_BYTES
        size = path.stat().st_size
        if size > largest:
            raise AttachmentError(
                f"{name} has {size / 1e6:.1f} MB; at most {largest / 1e6:.0f} MB can be attached. "
                + ("Make it smaller." if is_image else "Attach a part of it.")
            )
        content = path.read_bytes()
        if is_image:
            images.measure(content)
            return content
        if b"\0" in content:
            raise AttachmentError(f"{name} is neither text nor an image.")
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise AttachmentError(
            f"{name} is not text in UTF-8; save it in that encoding to attach it."
        ) from None
    except images.UnreadableImageError as error:
        raise AttachmentError(f"{name} {error}.") from None
    except OSError as error:
        raise AttachmentError(f"{name} can't be read: {error.strerror or error}.") from None


class FileNames:
    """The files below a folder, to complete a name by. Not for the event loop: it reads folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._read_at = float("-inf")

    def fitting(self, typed: str, limit: int) -> list[str]:
        """Names that fit what was typed, the likeliest first.

        What begins with a folder is completed within that folder, a folder's own name ending in
        `/`; anything else is looked for in the names of all files below the folder.
        """
        if typed.startswith(("~", "/", ".")) or ("/" in typed and self._is_folder(typed)):
            return self._within(typed, limit)
        now = time.monotonic()
        if now - self._read_at > FRESH_SECONDS:
            self._names, self._read_at = sorted(_below(self._folder)), now
        wanted = typed.casefold()
        ranked = sorted(
            (rank, len(name), name)
            for name in self._names
            if (rank := _rank(name.casefold(), wanted)) is not None
        )
        return [name for _, _, name in ranked[:limit]]

    def _is_folder(self, typed: str) -> bool:
        return (self._folder / typed.rpartition("/")[0]).is_dir()

    def _within(self, typed: str, limit: int) -> list[str]:
        head, slash, tail = typed.rpartition("/")
        try:
            folder = self._folder / Path(head + slash).expanduser()
            with os.scandir(folder) as entries:
                names = sorted(
                    f"{head}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
                    for entry in entries
                    if entry.name.casefold().startswith(tail.casefold())
                    and (tail.startswith(".") or not entry.name.startswith("."))
                )
        except (OSError, RuntimeError):
            return []
        return names[:limit]


def _rank(name: str, wanted: str) -> int | None:
    """How well a path fits: by the start of its last part, by a part of that, by any part."""
    last = name.rpartition("/")[2]
    if last.startswith(wanted):
        return 0
    if wanted in last:
        return 1
    return 2 if wanted in name else None


def _below(folder: Path) -> Iterator[str]:
    """The files below a folder, without hidden ones and what nobody wrote."""
    waiting = [("", 0)]
    count = 0
    while waiting:
        inside, depth = waiting.pop(0)
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if depth < DEEPEST and entry.name not in LEFT_OUT:
                            waiting.append((f"{inside}{entry.name}/", depth + 1))
                        continue
                    yield f"{inside}{entry.name}"
                    count += 1
                    if count == MOST_FILES:
                        return
        except OSError:
            continue
