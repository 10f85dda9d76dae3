"""Conversations from elsewhere: the formats that are known, and how they are taken in.

A conversation and its messages get ids that follow from where they come from. So the same file can
be imported again and again: what is here is found by its id, and only what is new is added.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.imports.base import UnreadableError as UnreadableError
from storage.errors import MessageExistsError, UnknownMessageError, UnknownSessionError
from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from engine.imports.base import Conversation, Reader
    from engine.library import Library
    from storage.records import Placed

T = TypeVar("T")

FORMATS = ("scrubjay", "chatgpt", "oterm", "elia")

BATCH = 500
"""Messages that are held at a time, where a format allows it."""


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was left out, and why."""

    what: str
    why: str
    count: int


class Report(msgspec.Struct, kw_only=True):
    """What came of an import of one file."""

    file: str
    format: str
    new: int = 0
    """Conversations that were not here."""

    grown: int = 0
    """Those that were, and got more messages."""

    unchanged: int = 0
    messages: int = 0
    """Messages that were added."""

    skipped: tuple[Skipped, ...] = ()
    problem: str = ""
    """Why the file could not be read to its end; what had come is kept."""

    next_step: str = ""

    @property
    def conversations(self) -> int:
        """How many were seen so far, but for those that were left out."""
        return self.new + self.grown + self.unchanged

    @property
    def summary(self) -> str:
        """What came of it, in a sentence."""
        return (
            f"Conversations: {self.new:,} new, {self.grown:,} with more messages,"
            f" {self.unchanged:,} unchanged. Messages added: {self.messages:,}."
        )


def reader_of(path: Path, format: str | None = None) -> Reader:
    """Who reads a file: by its format, or else by what is in it.

    Raises:
        UnreadableError: Nobody does.
        OSError: The file can't be opened.
    """
    from engine.imports.chatgpt import ChatGptReader
    from engine.imports.elia import EliaReader
    from engine.imports.oterm import OtermReader
    from engine.imports.own import OwnReader

    readers: tuple[type[Reader], ...] = (OwnReader, EliaReader, OtermReader, ChatGptReader)
    for reader in readers:
        if format == reader.format or (format is None and reader.fits(path)):
            return reader(path)
    raise UnreadableError(
        f"{path} is in no format that can be imported.",
        "There are: JSON that Scrubjay exported, ChatGPT's conversations.json or its archive, and"
        " the databases of oterm (store.db) and elia (elia.sqlite).",
    )


async def take_in(
    library: Library,
    path: Path,
    *,
    format: str | None = None,
    progress: Callable[[Report, float], object] = lambda _report, _share: None,
) -> Report:
    """Import a file, a conversation at a time, each of them whole or not at all.

    Args:
        library: Where the conversations go.
        path: The file.
        format: One of `FORMATS`; None looks into the file.
        progress: Called after each conversation with the report so far and the share of the file.

    Raises:
        UnreadableError: The file is in no known format.
        OSError: The file can't be opened.
        StorageError: The store takes no more; what came before is kept.
    """
    reader = await asyncio.to_thread(reader_of, path, format)
    report = Report(file=str(path), format=reader.format)
    conversations = reader.conversations()
    try:
        while (found := await _in_thread(lambda: next(conversations, None))) is not None:
            await _take_in(library, reader, found, report)
            progress(report, reader.share)
    except UnreadableError as problem:
        report.problem, report.next_step = problem.message, problem.next_step
    finally:
        await _in_thread(conversations.close)
    report.skipped = tuple(
        Skipped(what=what, why=why, count=count)
        for (what, why), count in sorted(reader.skipped.items())
    )
    return report


async def _take_in(
    library: Library, reader: Reader, conversation: Conversation, report: Report
) -> None:
    session = conversation.session
    try:
        kept = await library.session(session.id)
    except UnknownSessionError:
        pass
    else:
        if kept.deleted_at is not None:
            reader.skip(
                "conversation",
                "it was deleted here; `scrubjay sessions restore` brings it back",
            )
            return
    try:
        taken = await library.take_in(session, _batches(conversation))
    except (MessageExistsError, UnknownMessageError) as error:
        reader.skip("conversation", error.message)
        return
    except (OverflowError, UnicodeEncodeError) as error:
        reader.skip("conversation", f"the store can't keep a value in it: {error}")
        return
    if taken.added and (conversation.articles or conversation.citations):
        await library.take_in_articles(conversation.articles, conversation.citations)
    report.messages += taken.added
    if taken.new:
        report.new += 1
    elif taken.added:
        report.grown += 1
    else:
        report.unchanged += 1


async def _batches(conversation: Conversation) -> AsyncIterator[Sequence[Placed]]:
    def read() -> list[Placed]:
        return list(islice(conversation.messages, BATCH))

    while batch := await _in_thread(read):
        yield batch


async def _in_thread(work: Callable[[], T]) -> T:
    """The result of `work`. It is waited for in any case: two threads must not read one file."""
    return await to_its_end(asyncio.to_thread(work))
