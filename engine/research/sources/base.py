"""What every source is: a name, and a search that yields articles as they are found."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec

from engine.research.errors import FetchError
from engine.research.words import clean_title

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Iterable

    from engine.research.fetching import Fetcher
    from engine.workers import Workers
    from storage.articles import Draft

T = TypeVar("T")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for."""

    question: str
    topics: tuple[str, ...]
    """A few words each, the best first; one at least."""

    session_id: str
    limit: int
    """So many articles of a source are wanted at most."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a source works with."""

    fetcher: Fetcher
    workers: Workers
    notes: list[str]
    """A source adds what it could not read although the search itself went well."""


class Source(ABC):
    """A place to look."""

    name: ClassVar[str]
    local: ClassVar[bool] = False
    """Whether it needs no network."""

    @abstractmethod
    def find(self, query: Query, reach: Reach) -> AsyncGenerator[Draft, None]:
        """Yield articles as they are found.

        Raises:
            FetchError: Nothing, or nothing more, can be found; the message says why.
        """


async def at(url: str, work: Awaitable[T]) -> T:
    """What work at an address returns. Its failure names the place, without the keys in a query.

    Raises:
        FetchError: The work's own.
    """
    try:
        return await work
    except FetchError as error:
        place = clean_title(re.sub(r"^\w+://(?:[^/?#]*@)?|[?#].*", "", url))
        raise FetchError(error.kind, f"{place} {error}") from error


async def as_found(work: Iterable[Awaitable[T]], notes: list[str]) -> AsyncGenerator[T, None]:
    """What each of `work` returns, the quickest first. What fails is noted.

    Leaving the loop cancels what is left.

    Raises:
        FetchError: All of them failed; it is the first one's.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    failed: list[FetchError] = []
    try:
        for done in asyncio.as_completed(tasks):
            try:
                yield await done
            except FetchError as error:
                failed.append(error)
                notes.append(str(error))
        if failed and len(failed) == len(tasks):
            raise failed[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
