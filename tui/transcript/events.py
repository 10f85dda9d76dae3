"""What the transcript tells the screen that it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message as Event

if TYPE_CHECKING:
    from storage.records import Message


class Copied(Event, namespace="transcript"):
    """Text went to the clipboard."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        """What it was, in a few words: `message`, `python code, block 2 of 3` …"""


class LinkOpened(Event, namespace="transcript"):
    """The reader wants to see this address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address


class LinksListed(Event, namespace="transcript"):
    """The reader wants to choose among the links of a message, and the articles that it cites."""

    def __init__(self, links: list[tuple[str, str]], message: Message) -> None:
        super().__init__()
        self.message = message
        self.links = links
        """The text and the address of each."""


class CitationOpened(Event, namespace="transcript"):
    """The reader wants to see the article that a number in an answer stands for."""

    def __init__(self, message: Message, number: int) -> None:
        super().__init__()
        self.message = message
        self.number = number


class RetryRequested(Event, namespace="transcript"):
    """The reader wants this answer again."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message = message


class Asked(Event, namespace="transcript"):
    """The reader wants something to be done with this message.

    `what` is `edit`, `go_on`, `take_back`, `pin`, `previous` or `next`: of the branches through it.
    """

    def __init__(self, what: str, message: Message) -> None:
        super().__init__()
        self.what = what
        self.message = message


class LoadFailed(Event, namespace="transcript"):
    """Messages could not be fetched; they are asked for again when the reader moves."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
