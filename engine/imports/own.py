"""Conversations that Scrubjay exported as JSON.

What a person has allowed tools to do is not taken over: a file can't consent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.consent import ALWAYS
from engine.export.json import (
    FORMAT,
    VERSION,
    DocumentArticle,
    DocumentMessage,
    DocumentSession,
    article_from,
    message_from,
    session_from,
)
from engine.images import UnreadableImageError, measure
from engine.imports.base import Conversation, Reader, UnreadableError
from engine.imports.json_stream import JsonStream
from storage.records import Placed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import TextIO

T = TypeVar("T")

HEAD_CHARACTERS = 300
"""In so many first characters a file of this format names it."""


class OwnReader(Reader):
    """Reads one exported conversation; its messages come from the file as they are asked for."""

    format = "scrubjay"

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether the file names this format near its beginning."""
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(HEAD_CHARACTERS)
        return head.lstrip("\ufeff \t\r\n").startswith("{") and f'"{FORMAT}"' in head

    def conversations(self) -> Generator[Conversation]:
        """The one conversation."""
        size = self.path.stat().st_size or 1
        with (
            self.path.open(encoding="utf-8-sig") as head,
            self.path.open(encoding="utf-8-sig") as file,
        ):
            try:
                session, articles = self._head(head)
                citations: dict[str, tuple[str, ...]] = {}
                yield Conversation(
                    session_from(session),
                    self._messages(file, session.id, citations, size),
                    [article_from(article, session.id) for article in articles],
                    citations,
                )
            except (ValueError, OverflowError) as error:
                raise _unreadable(self.path, error) from error

    def _head(self, file: TextIO) -> tuple[DocumentSession, list[DocumentArticle]]:
        """What stands beside the messages, which are passed over only if they come before it."""
        stream = JsonStream(file)
        found: dict[str, Any] = {}
        for key in stream.fields():
            if key == "messages" and "session" in found and "articles" in found:
                break
            if key == "messages":
                for _ in stream.array():
                    pass
            else:
                found[key] = stream.value()
        if found.get("format") != FORMAT or not isinstance(found.get("version"), int):
            raise UnreadableError(f"{self.path} is no conversation that Scrubjay exported.")
        if found["version"] > VERSION:
            raise UnreadableError(
                f"{self.path} was exported by a newer Scrubjay (version {found['version']} of the"
                f" format; this one reads {VERSION}).",
                "Install the newer version.",
            )
        session = _as(DocumentSession, found.get("session"))
        session.state.pop(ALWAYS, None)
        return session, _as(list[DocumentArticle], found.get("articles", []))

    def _messages(
        self, file: TextIO, session_id: str, citations: dict[str, tuple[str, ...]], size: int
    ) -> Iterator[Placed]:
        try:
            stream = JsonStream(file)
            for key in stream.fields():
                if key != "messages":
                    stream.value()
                    continue
                for value in stream.array():
                    document = _as(DocumentMessage, value)
                    if document.citations:
                        citations[document.id] = document.citations
                    self.share = min(file.buffer.tell() / size, 1.0)
                    yield Placed(
                        message=message_from(document, session_id),
                        shown=document.shown,
                        images=tuple(self._images(document)),
                    )
        except (ValueError, OverflowError) as error:
            raise _unreadable(self.path, error) from error

    def _images(self, document: DocumentMessage) -> Iterator[bytes]:
        """The images of a message that can be shown; a file may claim what it likes."""
        for image in document.images:
            try:
                measure(image.data)
            except UnreadableImageError as error:
                self.skip("image", f"it {error}")
            else:
                yield image.data


def _as(kind: type[T], value: Any) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _unreadable(path: Path, error: Exception) -> UnreadableError:
    return UnreadableError(f"{path} can't be read: {error}.", "Export the conversation again.")
