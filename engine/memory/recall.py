"""Recall: what of earlier conversations fits what is asked now, and why it does.

An index of everything one person said and was told is brought up to date at each question, and read
by the ranker. Facts, episodes and skills join the messages. Nothing comes back
rather than noise.
"""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.memory import words as language
from engine.memory.question import as_told
from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from engine.memory.meaning import Meaning
    from engine.memory.shelf import Ranked, Shelf
    from storage.recall_source import Found
    from storage.records import Role
    from storage.store import Store

T = TypeVar("T")

LIKELY = 0.3
"""Unless one message is at least as likely as this to be of use, nothing is brought back."""

LONGEST_CHARACTERS = 400
"""The text of a recollection is cut to this length, around its first shared word."""

SPARE = 40
"""So many more than asked for are ranked, in case some are not shown any more."""

KINDS = ("message", "fact", "episode", "skill")
"""What can be brought back."""

PAGE = 500
"""Messages indexed at a time."""

VECTORS_PAGE = 1_000
"""Vectors read at a time; a question waits for no more than these."""


class Reason(msgspec.Struct, frozen=True):
    """One ground on which a message was brought back."""

    name: str
    """`words`, `neighbours`, `session`, `topic`, `kindred words`, `speaker`, `date`, `form`,
    `meaning` (with an embedder); of what is no message: `words`, `kindred words`
    or `pinned`."""

    share: float
    """Its part in all that spoke for the message, from 0 to 1."""


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """One message or memory brought back, and why."""

    message_id: str
    """For a fact: where it was told. Empty when that is not known."""

    session_id: str
    session_title: str
    position: int
    role: Role
    text: str
    created_at: float
    """Seconds since the epoch, UTC."""

    score: float
    """How likely it is to be of use, from 0 to 1."""

    shared: tuple[str, ...]
    """The words of the question that it holds."""

    reasons: tuple[Reason, ...] = ()
    """The weightiest first."""

    kind: str = "message"
    """One of `KINDS`."""

    memory_id: str = ""
    """Of what is no message."""

    pinned: bool = False


class Recall:
    """Finds recollections in a store."""

    def __init__(self, store: Store, meaning: Meaning | None = None) -> None:
        """Keep where to look.

        Args:
            store: What was said.
            meaning: Its vectors; without it, or while they are not there, words have to do.
        """
        self._store = store
        self._meaning = meaning
        self._shelves: dict[str | None, Shelf] = {}
        self._reading: dict[str | None, asyncio.Lock] = {}

    async def recall(
        self,
        query: str,
        limit: int,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        session_id: str | None = None,
        before: int = 0,
        tokens: int | None = None,
        likely: float = LIKELY,
        whole: bool = False,
        now: float | None = None,
        kinds: Sequence[str] = KINDS,
    ) -> list[Recollection]:
        """The best recollections, best first; what is pinned comes beside them.

        What holds no more is not brought back, nor a message that says nothing else.

        Args:
            query: What is asked, in ordinary words.
            limit: How many at most.
            entity_id: Whose memory it is. Nothing of anybody else's is read.
            process_id: Only from sessions of this program or persona, as their state names it.
            session_id: The session that asks. Only what stands in it before `before` is brought
                back: the model is shown the rest anyway.
            before: A position in that session.
            tokens: As many as fit, from the best, by the count of their texts.
            likely: When no message is as likely of use as this, from 0 to 1, nothing comes back;
                at 0 everything is ranked.
            whole: Give whole texts.
            now: What "last week" in the query counts from, in seconds since the epoch; by default
                the present.
            kinds: What to bring back, of `KINDS`.

        Raises:
            StorageError: The store can't be read.
        """
        if limit < 1:
            return []
        from engine.memory.joining import known  # it makes recollections, too

        knowing = asyncio.create_task(
            known(
                self._store,
                query,
                kinds=kinds,
                entity_id=entity_id,
                process_id=process_id,
                session_id=session_id,
                before=before,
                likely=likely,
                limit=limit,
            )
        )
        ranked: Ranked | None = None
        try:
            if "message" in kinds:
                ranked = await self._rank(
                    query, limit + SPARE, entity_id, session_id, before, likely, now
                )
            remembered = await knowing
        finally:
            knowing.cancel()
        messages: list[Recollection] = []
        if ranked is not None:
            spelled = _Spelled(ranked.stems)
            async for place, found in self._shown(ranked, limit, entity_id, process_id):
                message = remembered.told(found.message)
                if message is None:
                    continue
                told = msgspec.structs.replace(found, message=message)
                messages.append(_recollection(place, told, ranked, spelled, whole=whole))
                if len(messages) == limit:
                    break
        best = remembered.joined(messages, limit)
        return best if tokens is None else await _fitting(best, tokens)

    async def _rank(
        self,
        query: str,
        count: int,
        entity_id: str | None,
        session_id: str | None,
        before: int,
        likely: float,
        now: float | None,
    ) -> Ranked:
        """The messages of a person, ranked."""
        vector = await self._vector(query, entity_id)
        async with self._reading.setdefault(entity_id, asyncio.Lock()):
            shelf = await self._up_to_date(entity_id)
            if vector is not None:
                await self._take_vectors(shelf, entity_id)
            return await _in_thread(
                lambda: shelf.rank(
                    query,
                    count,
                    session=session_id,
                    before=before,
                    likely=likely,
                    now=now,
                    vector=vector,
                )
            )

    async def find(
        self, question: str, *, session_id: str, limit: int, before: int = 0
    ) -> list[Recollection]:
        """The best recollections for a question in a session, from what its user said and heard.

        Raises:
            StorageError: The store can't be read.
        """
        session = await self._store.sessions.get(session_id)
        return await self.recall(
            question,
            limit,
            entity_id=session.user_id if session else None,
            session_id=session_id,
            before=before,
        )

    def forget(self, entity_id: str | None) -> None:
        """Drop a person's index, as messages were changed; it is read anew when it is needed."""
        self._shelves.pop(entity_id, None)
        if (folder := self._folder(entity_id)) is not None:
            shutil.rmtree(folder, ignore_errors=True)

    async def load(self, entity_id: str | None = None) -> None:
        """Read what is kept into the index, so that the first question need not wait for it.

        Raises:
            StorageError: The store can't be read.
        """
        async with self._reading.setdefault(entity_id, asyncio.Lock()):
            shelf = await self._up_to_date(entity_id)
            while await self._take_vectors(shelf, entity_id):
                pass
            await _in_thread(shelf.settle)

    async def _vector(self, query: str, entity_id: str | None) -> Any:
        """The question's vector, unless that would take long."""
        if self._meaning is None or self._meaning.space is None:
            return None
        async with self._reading.setdefault(entity_id, asyncio.Lock()):
            speakers = tuple((await self._up_to_date(entity_id)).index.speakers)
        return await self._meaning.of(as_told(query, speakers))

    async def _take_vectors(self, shelf: Shelf, entity_id: str | None) -> bool:
        """Read vectors that were kept since the last time; whether there may be more."""
        space = self._meaning.space if self._meaning is not None else None
        if space is None:
            return False
        page = await self._store.message_vectors.after(
            space, shelf.vectors.newest, user_id=entity_id, limit=VECTORS_PAGE
        )
        await _in_thread(partial(shelf.vectors.put, shelf.index, page))
        return len(page) == VECTORS_PAGE

    async def _up_to_date(self, entity_id: str | None) -> Shelf:
        """The index of what a person said and was told, with all that is kept now."""
        source = self._store.recall_source
        shelf = self._shelves.get(entity_id)
        newest = await source.newest()
        if shelf is None or (newest != shelf.newest and not await source.holds(*shelf.newest)):
            shelf = await _in_thread(partial(_new_shelf, self._folder(entity_id)))
            if not await source.holds(*shelf.newest):  # it was kept beside another database
                shelf.remove()
                shelf = await _in_thread(partial(_new_shelf, self._folder(entity_id)))
            self._shelves[entity_id] = shelf
        if shelf.streaming:
            finished = await source.again(tuple(shelf.streaming))
            await _in_thread(partial(shelf.add, finished))
        while shelf.newest[0] < newest[0]:
            after = shelf.newest[0]
            page = await source.between(after, newest[0], user_id=entity_id, limit=PAGE)
            last = newest if len(page) < PAGE else (page[-1].key, page[-1].message_id)
            await _in_thread(partial(shelf.add, page, last))
        if shelf.is_much:
            await _in_thread(shelf.keep)
        return shelf

    def _folder(self, entity_id: str | None) -> Path | None:
        """Where a person's index is kept."""
        if self._store.derived is None:
            return None
        name = "own" if entity_id is None else sha256(entity_id.encode()).hexdigest()[:32]
        return self._store.derived / name

    async def _shown(
        self, ranked: Ranked, limit: int, entity_id: str | None, process_id: str | None
    ) -> AsyncIterator[tuple[int, Found]]:
        """The places in the ranking whose messages are shown today, each with its message."""
        for start in range(0, len(ranked.keys), limit):
            keys = ranked.keys[start : start + limit]
            found = await self._store.recall_source.found(
                keys, user_id=entity_id, process_id=process_id
            )
            for place, key in enumerate(keys, start):
                if key in found:
                    yield place, found[key]


async def _fitting(recollections: list[Recollection], tokens: int) -> list[Recollection]:
    """The first recollections, as many as fit."""
    from engine.context.tokens import count

    fitting: list[Recollection] = []
    for recollection in recollections:
        tokens -= await count(recollection.text)
        if tokens < 0:
            break
        fitting.append(recollection)
    return fitting


async def _in_thread(work: Callable[[], T]) -> T:
    """Do work on a shelf beside the event loop. Nobody else may touch it before the work ends."""
    return await to_its_end(asyncio.to_thread(work))


def content_words(text: str) -> set[str]:
    """The words that carry a text's topic, case-folded, a plain plural read as its singular."""
    words = language.WORD.findall(text.casefold())
    return {_singular(word) for word in words if len(word) > 1 and word not in language.STOP_WORDS}


def _new_shelf(folder: Path | None) -> Shelf:
    from engine.memory.kept_index import KeptIndex  # imports numpy
    from engine.memory.shelf import Shelf

    return Shelf(KeptIndex(folder) if folder is not None else None)


def _recollection(
    place: int, found: Found, ranked: Ranked, spelled: _Spelled, *, whole: bool
) -> Recollection:
    message = found.message
    shared = spelled.of(message.content)
    return Recollection(
        message_id=message.id,
        session_id=message.session_id,
        session_title=found.session_title,
        position=message.position,
        role=message.role,
        text=message.content if whole else _cut(message.content, shared),
        created_at=message.created_at,
        score=ranked.likely[place],
        shared=tuple(sorted(set(map(_singular, shared)))),
        reasons=tuple(Reason(name, share) for name, share in ranked.reasons[place]),
    )


class _Spelled(dict[str, bool]):
    """Whether words have one of some stems; each is looked at once."""

    def __init__(self, stems: frozenset[str]) -> None:
        self._stems = stems

    def __missing__(self, word: str) -> bool:
        plain = word.removesuffix("'s")
        self[word] = plain not in language.STOP_WORDS and language.stem(plain) in self._stems
        return self[word]

    def of(self, text: str) -> dict[str, None]:
        """The words of a text that have, in order."""
        low = language.folded(text[: language.LONGEST_CHARACTERS])
        return dict.fromkeys(word for word in language.WORD.findall(low) if self[word])


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _cut(text: str, shared: Iterable[str]) -> str:
    """At most `LONGEST_CHARACTERS` of the text, from a little before the first shared word."""
    text = " ".join(text.split())
    if len(text) <= LONGEST_CHARACTERS:
        return text
    folded = text.casefold()
    first = min((at for word in shared if (at := folded.find(word)) >= 0), default=0)
    start = max(0, min(first - LONGEST_CHARACTERS // 4, len(text) - LONGEST_CHARACTERS))
    piece = text[start : start + LONGEST_CHARACTERS].strip()
    return f"{'… ' if start else ''}{piece}{' …' if start + LONGEST_CHARACTERS < len(text) else ''}"
