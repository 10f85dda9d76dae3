"""An index in a folder: what a program need not read anew from the messages when it starts.

It can always be made anew, so whatever is odd about it ends it. It holds hashes of words, and none
of the words themselves. One program at a time keeps it; another one that has the same database open
reads what was there when it began, and has the rest in memory.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from engine.memory.array_file import ArrayFile
from engine.memory.index import LexicalIndex
from engine.memory.segments import Segment
from engine.memory.topics import Topics

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
"""Changes with how messages are read, so that an older index is not used."""

_CONTENTS = "contents.json"


class Contents(msgspec.Struct, frozen=True):
    """What is in the folder."""

    version: int
    segments: list[str]
    table: str
    speakers: list[str]
    fitted: int
    """To how many messages the topics are fitted."""

    known: int
    """And how many stems there were."""

    newest: tuple[int, str]
    """The key and id of the last message that was read."""

    streaming: list[int]
    """The keys of answers that were being written when they were read."""


class KeptIndex:
    """The index in a folder.

    Args:
        folder: It need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: bytes | None = None
        """The contents as this program knows them."""

    def read(self) -> tuple[LexicalIndex, Topics, Contents] | None:
        """What is kept; None when there is nothing, or nothing that can be used."""
        try:
            written = (self._folder / _CONTENTS).read_bytes()
            contents = msgspec.json.decode(written, type=Contents)
            if contents.version != VERSION:
                raise ValueError("It is of another version.")
            segments = [Segment(self._folder / name) for name in contents.segments]
            table = ArrayFile(self._folder / contents.table)
            index = LexicalIndex(segments, table, contents.speakers)
            topics = Topics(
                contents.fitted,
                contents.known,
                table.array("common").copy(),
                table.array("basis").copy().reshape(-1, Topics.width),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, msgspec.MsgspecError):
            self.remove()
            return None
        index.let_go()
        self._written = written
        return index, topics, contents

    def keep(
        self,
        index: LexicalIndex,
        topics: Topics,
        newest: tuple[int, str],
        streaming: list[int],
    ) -> bool:
        """Keep an index; not when another program did so meanwhile, or removed it.

        Raises:
            OSError: It can't be written.
        """
        if self._now() != self._written:
            return False
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        name = uuid4().hex
        more = {"common": topics.common, "basis": topics.basis.ravel()}
        table = index.keep(self._folder, name, more)
        contents = Contents(
            version=VERSION,
            segments=[segment.path.name for segment in index.segments],
            table=table.path.name,
            speakers=list(index.speakers),
            fitted=topics.fitted,
            known=topics.known,
            newest=newest,
            streaming=streaming,
        )
        self._written = msgspec.json.encode(contents)
        with os.fdopen(os.open(self._folder / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(self._written)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._folder / name, self._folder / _CONTENTS)
        wanted = {_CONTENTS, contents.table, *contents.segments}
        for other in self._folder.iterdir():
            if other.name not in wanted:
                with suppress(OSError):  # some systems let nobody remove a file that is being read
                    other.unlink()
        return True

    def remove(self) -> None:
        """Remove it from the disk."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._written = None

    def _now(self) -> bytes | None:
        try:
            return (self._folder / _CONTENTS).read_bytes()
        except FileNotFoundError:
            return None
