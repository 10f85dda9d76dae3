"""Facts, episodes and skills as recollections, on one scale with the messages they stand beside."""

from __future__ import annotations

import asyncio
from heapq import merge
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from engine.memory import striking
from engine.memory import words as language
from engine.memory.question import read
from engine.memory.recall import Reason, Recollection
from engine.memory.rules import SUBJECTS
from engine.memory.thesaurus import related
from storage.records import Episode, Fact, Role, Skill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from storage.episodes import EpisodeStore
    from storage.facts import FactStore
    from storage.records import Message, Session
    from storage.skills import SkillStore
    from storage.store import Store

Memory: TypeAlias = Fact | Episode | Skill

NEWEST = 400
"""So many of a person's facts are looked at, beside those that share a word with the question."""

BY_WORDS = 100

KINDRED = 0.7
"""What a word counts that only stands for one of the question's."""

PINNED_AT_MOST = 8

LONG = 200
"""A message of more characters says more than the fact that was learnt from it."""


class Known:
    """What one person has told that bears on a question, and what of it holds no more."""

    def __init__(
        self,
        recollections: list[Recollection],
        asked: frozenset[str],
        sources: frozenset[str],
        ended: Sequence[_Ended],
    ) -> None:
        self.recollections = recollections
        """What fits the question, the best first."""

        self._asked = asked
        self._sources = sources
        self._ended = ended

    def told(self, message: Message) -> Message | None:
        """A message as it may be brought back: without what holds no more. None: not at all."""
        if message.id in self._sources and len(message.content) <= LONG:
            return None  # the fact stands for it
        text = message.content
        for one in self._ended:
            text = striking.without(text, one.words_in(message))
        if text == message.content:
            return message
        if not self._asked & striking.stems(text):
            return None  # what is left of it bears on something else
        return msgspec.structs.replace(message, content=" ".join(text.split()))

    def joined(self, messages: Iterable[Recollection], limit: int) -> list[Recollection]:
        """The best of all, and beside them what is pinned; the order of the messages stays.

        They come by rank, which their likelihoods tell less well.
        """
        merged = list(merge(self.recollections, messages, key=lambda one: -one.score))
        pinned = [one for one in merged if one.pinned][:PINNED_AT_MOST]
        best = [one for one in merged if not one.pinned][:limit]
        shown = set(map(id, [*pinned, *best]))
        return [one for one in merged if id(one) in shown]


class _Ended(msgspec.Struct, frozen=True):
    """A fact that holds no more."""

    source_ids: tuple[str, ...]
    point: frozenset[str]
    """What only it says."""

    whole: frozenset[str]
    telling: bool
    """It is about a name or a number."""

    def words_in(self, message: Message) -> frozenset[str]:
        """The words that make the statement in a message.

        Where it was told, and in the answer to that, a hint is enough; so it is wherever the
        assistant names what the user named.
        """
        near = message.id in self.source_ids or message.parent_id in self.source_ids
        named = self.telling and message.role is Role.ASSISTANT
        return self.point if near or named else self.point | self.whole


async def known(
    store: Store,
    query: str,
    *,
    kinds: Sequence[str],
    entity_id: str | None,
    process_id: str | None = None,
    session_id: str | None = None,
    before: int = 0,
    likely: float = 0.0,
    limit: int = 10,
) -> Known:
    """What is known of a person that bears on a question.

    Args:
        store: Where it is kept.
        query: The question.
        kinds: Of `fact`, `episode` and `skill`.
        entity_id: Whose memory it is; nothing of anybody else's is read.
        process_id: Only what this program or persona learnt.
        session_id: The session that asks; no episode of its own is brought back, nor what was
            told in it from `before` on, which the model is shown anyway.
        before: A position in that session.
        likely: What is less likely of use than this is left out, unless it is pinned.
        limit: How many of each kind.

    Raises:
        StorageError: The store can't be read.
    """
    if not await store.knows(entity_id):
        return Known([], frozenset(), frozenset(), [])
    keepers: dict[str, FactStore | SkillStore | EpisodeStore] = {
        "fact": store.facts,
        "skill": store.skills,
        "episode": store.episodes,
    }

    async def candidates(kind: str) -> list[Memory]:
        found: list[Memory] = []
        for words, count in ((query, BY_WORDS), ("", NEWEST)):
            found += await keepers[kind].search(
                words, entity_id=entity_id, process_id=process_id, limit=count
            )
        return found

    found = await asyncio.gather(*(candidates(kind) for kind in keepers if kind in kinds))
    memories = {one.id: one for kind in found for one in kind}
    ended = await store.facts.ended(entity_id)
    asked, best = await asyncio.to_thread(_rank, query, list(memories.values()), likely)
    over = await asyncio.to_thread(_all_ended, ended, list(memories.values()))
    recollections: list[Recollection] = []
    brought: list[Memory] = []
    counts: dict[type[Memory], int] = {}
    for fit in best:
        memory = fit.memory
        if isinstance(memory, Episode) and session_id and memory.session_id == session_id:
            continue
        if counts.get(type(memory), 0) >= limit and not memory.pinned:
            continue
        where = await _where(store, memory)
        shown = where.message is not None and where.message.position >= before
        here = where.session is not None and where.session.id == session_id and shown
        if (here or where.gone) and not memory.pinned:
            continue
        text = memory.text
        if isinstance(memory, Episode):
            for one in over:
                text = striking.without(text, one.point)
            if striking.says_nothing(text):
                continue
        counts[type(memory)] = counts.get(type(memory), 0) + 1
        brought.append(memory)
        recollections.append(_recollection(fit, text, where, asked))
    sources = frozenset(
        source for memory in brought if isinstance(memory, Fact) for source in memory.source_ids
    )
    return Known(recollections, frozenset(asked), sources, over)


def _all_ended(
    ended: Sequence[tuple[Fact, str | None]], memories: Sequence[Memory]
) -> list[_Ended]:
    holding = [striking.stems(one.text) for one in memories if isinstance(one, Fact)]
    found = []
    for old, new in ended:
        point = striking.outdated(old, new)
        # Who moved back to Lima lives in Lima.
        if point and not any(point <= said for said in holding):
            telling = bool(striking.names(old.text, point))
            found.append(_Ended(old.source_ids, point, striking.whole(old.text), telling))
    return found


class _Fit(msgspec.Struct, frozen=True):
    """How well a memory fits a question."""

    memory: Memory
    score: float
    shared: frozenset[str]
    """The stems of the question that it holds."""

    kindred: bool
    """Whether it answers to others by words that stand for them."""


class _Where(msgspec.Struct, frozen=True):
    """Where a memory comes from."""

    message: Message | None = None
    session: Session | None = None
    gone: bool = False
    """All that it was learnt from is deleted."""


def _rank(
    query: str, memories: Sequence[Memory], likely: float
) -> tuple[dict[str, str], list[_Fit]]:
    """The question's words by their stems, and what fits it, the best first."""
    asked = read(query, frozenset({"user", "assistant"}))
    spelled = {
        language.stem(word.removesuffix("'s")): word
        for word in language.WORD.findall(asked.text)
        if word not in language.STOP_WORDS or word in ("who", "where")
    }
    personal = bool(asked.speakers)
    frame = striking.frame()
    ranked: list[_Fit] = []
    for memory in memories:
        shared, kindred, coverage = _coverage(memory, spelled)
        if not coverage or (not personal and not kindred and shared <= frame):
            score = 0.0
        else:
            score = (0.35 if personal else 0.15) + 0.6 * coverage
        if score >= max(likely, 0.01) or memory.pinned:
            ranked.append(_Fit(memory, max(score, likely), shared, kindred))
    ranked.sort(key=lambda fit: (-fit.score, -fit.memory.created_at))
    return spelled, ranked


def _coverage(memory: Memory, asked: Iterable[str]) -> tuple[frozenset[str], bool, float]:
    """The stems of a question that a memory holds, whether it has kindred ones, and its share."""
    words = [one for one in asked if one not in ("who", "where")]
    said = striking.whole(_whole(memory))
    shared = frozenset(one for one in words if one in said)
    points = float(len(shared))
    kindred = False
    if isinstance(memory, Fact):
        about = frozenset(map(language.stem, SUBJECTS.get(memory.subject, "").split()))
        about |= striking.stems(memory.subject)
        for one in asked:
            if one not in shared and (one in about or related(one) & said):
                kindred = True
                points += KINDRED
    if isinstance(memory, Skill) and not shared & striking.stems(
        f"{memory.name} {memory.description}"
    ):
        points /= 2  # its steps mention much
    return shared, kindred, min(1.0, points / max(1, len(words)))


def _whole(memory: Memory) -> str:
    if isinstance(memory, Skill):
        return f"{memory.name} {memory.description} {memory.text}"
    return memory.text


async def _where(store: Store, memory: Memory) -> _Where:
    """The first message that a memory was learnt from and that is kept, and its session."""
    session_id = None if isinstance(memory, Skill) else memory.session_id
    if isinstance(memory, Fact) and memory.source_ids:
        for source_id in memory.source_ids:
            message = await store.messages.get(source_id)
            session = await store.sessions.get(message.session_id) if message else None
            if session is not None and session.deleted_at is None:
                return _Where(message, session)
        return _Where(gone=True)
    session = await store.sessions.get(session_id) if session_id else None
    gone = session is not None and session.deleted_at is not None
    return _Where(None, session, gone)


def _recollection(fit: _Fit, text: str, where: _Where, asked: Mapping[str, str]) -> Recollection:
    memory = fit.memory
    if isinstance(memory, Fact):
        kind, at = "fact", memory.valid_from
    elif isinstance(memory, Episode):
        kind, at = "episode", memory.created_at
    else:
        kind, text, at = "skill", f"{memory.name}: {text}", memory.updated_at
    grounds = [
        name
        for name, holds in (
            ("words", bool(fit.shared)),
            ("kindred words", fit.kindred),
            ("pinned", memory.pinned),
        )
        if holds
    ]
    return Recollection(
        kind=kind,
        memory_id=memory.id,
        pinned=memory.pinned,
        message_id=where.message.id if where.message else "",
        session_id=where.session.id if where.session else "",
        session_title=where.session.title if where.session else "",
        position=where.message.position if where.message else 0,
        role=Role.USER,
        text=text,
        created_at=at,
        score=fit.score,
        shared=tuple(sorted(asked[stem] for stem in fit.shared)),
        reasons=tuple(Reason(name, 1 / len(grounds)) for name in grounds),
    )
