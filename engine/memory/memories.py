"""Memories: what the assistant remembers of a person beyond their messages, and who may change it.

Facts are what holds about a person, episodes are what a conversation was about, skills are how to
do something. Each belongs to one person (the entity) and to the program or persona that learnt it
(the process).
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import msgspec

from engine.events import BranchShown, MemoriesChanged, Notice, SessionChanged
from engine.memory import forgetting
from engine.memory.learning import NO_EPISODE, Learning
from engine.memory.quotas import QuotaExceededError, Quotas
from engine.memory.rules import SUBJECTS, Statement, may_tell, statements
from engine.memory.striking import point, stems
from engine.models import is_weak
from engine.pool import Lane
from storage.errors import SkillExistsError, UnknownMemoryError, UnknownSessionError
from storage.records import Episode, Fact, Skill

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.config import Settings
    from engine.events import Events
    from engine.llm.base import Backend, ModelInfo
    from engine.memory.recall import Recall
    from engine.pool import Job, Pool
    from storage.records import Message, Session
    from storage.store import Store

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["fact", "episode", "skill"]

KINDS: tuple[Kind, ...] = ("fact", "episode", "skill")

AT_ONCE = 2
"""Sessions that are learnt from at the same time."""

LEARNING_SECONDS = 120.0
"""What takes a model longer is given up, and tried again after the next answer."""

EPISODE_EVERY = 6
"""Messages after which an episode is told anew where no model reads along."""

LATEST = 10
"""Sessions that are looked through at the start for what an end came before."""

ALIKE = 0.6
"""What shares this much of its stems with what is to be forgotten says nearly the same."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One memory."""

    id: str
    kind: Kind
    text: str
    name: str = ""
    """What a fact is about (`name`, `home`, `favourite tea`), or what a skill is called."""

    created_at: float
    """Seconds since the epoch, UTC."""

    valid_from: float
    valid_to: float | None = None
    """When a fact ceased to hold; None while it does."""

    superseded_by: str | None = None
    """The fact that holds instead."""

    confidence: float = 1.0
    """From 0 to 1."""

    source_ids: tuple[str, ...] = ()
    """The messages it was learnt from."""

    entity_id: str | None = None
    """Whose it is; None is the person who owns this computer's account."""

    process_id: str | None = None
    """The program or persona that learnt it; None is the chat."""

    session_id: str | None = None
    """The conversation that an episode tells of, or that a memory was told in."""

    pinned: bool = False
    """It is thought of at every question."""


class Memories:
    """Remembers, finds, changes and forgets.

    Where a method takes an `entity_id`, it sees and touches that person's memories alone.
    """

    def __init__(
        self, store: Store, recall: Recall, pool: Pool, events: Events, settings: Settings
    ) -> None:
        self._store = store
        self._recall = recall
        self._pool = pool
        self._events = events
        self._settings = settings
        self._quotas = Quotas(store, settings.memory)
        self._learning = Learning(store, self._quotas)
        self._bound = asyncio.Semaphore(AT_ONCE)
        self._jobs: set[Job[None]] = set()
        self._told_quota = ""

    async def remember(
        self,
        text: str,
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        session_id: str | None = None,
        source_ids: Sequence[str] = (),
        kind: Kind = "fact",
        name: str = "",
    ) -> Kept:
        """Keep something. What is known already is not kept twice.

        Args:
            text: What to remember, as a sentence; for a skill, how it is done.
            entity_id: Whose memory it is.
            process_id: The program or persona that learnt it.
            session_id: The conversation it comes from.
            source_ids: The messages it comes from.
            kind: What it is.
            name: What a fact is about, or what a skill is called. A new fact about the same takes
                the old one's place; a skill of the same name is changed.

        Raises:
            QuotaExceededError: The person has as many memories as the settings allow.
            ValueError: There is nothing to remember, or a skill without a name.
            StorageError: It could not be kept.
        """
        text, name = text.strip(), " ".join(name.split())
        if not text or (kind == "skill" and not name):
            raise ValueError("There is nothing to remember." if not text else "A skill has a name.")
        kept: Fact | Episode | Skill
        if kind == "skill":
            kept = await self._remember_skill(name, text, entity_id, process_id)
        elif kind == "episode":
            await self._make_room(entity_id)
            kept = await self._store.episodes.add(
                text, session_id=session_id, entity_id=entity_id, process_id=process_id
            )
        else:
            now = time.time()
            facts = await self._learning.keep(
                [(one, tuple(source_ids), now) for one in _as_statements(text, name)],
                entity_id=entity_id,
                process_id=process_id,
                session_id=session_id,
            )
            kept = await self._store.facts.get(facts[0].id) or facts[0]
        self._changed(entity_id)
        return _kept(kept)

    async def search(
        self,
        query: str = "",
        *,
        kinds: Sequence[Kind] = KINDS,
        entity_id: str | None = None,
        process_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
        superseded: bool = False,
    ) -> list[Kept]:
        """The memories that fit `query`, the best first; without words the pinned, then the newest.

        Args:
            query: Words, as for a search of messages.
            kinds: What to look for.
            entity_id: Whose.
            process_id: Only what this program or persona learnt.
            limit: How many.
            offset: How many to leave out at the beginning.
            superseded: Also the facts that hold no more.
        """
        most = offset + limit
        whose = _Whose(entity_id=entity_id, process_id=process_id)
        found: list[Kept] = []
        for kind in kinds:
            some: Sequence[Fact | Episode | Skill]
            if kind == "fact":
                some = await self._store.facts.search(query, ended=superseded, limit=most, **whose)
            elif kind == "episode":
                some = await self._store.episodes.search(query, limit=most, **whose)
            else:
                some = await self._store.skills.search(query, limit=most, **whose)
            found += map(_kept, some)
        if wanted := stems(query):
            # Each kind comes ranked; what shares more words goes first, whatever it is.
            found.sort(key=lambda one: -len(wanted & stems(f"{one.name} {one.text}")))
        else:
            found.sort(key=lambda one: (not one.pinned, -one.created_at))
        return found[offset:most]

    async def get(self, memory_id: str) -> Kept | None:
        """The memory with this id, or None."""
        found = await self._find(memory_id)
        return _kept(found) if found is not None else None

    async def edit(self, memory_id: str, text: str) -> Kept:
        """Say it in other words. A fact is superseded and stays in its history; others change.

        Raises:
            UnknownMemoryError: It is not there, or it is a fact that holds no more.
            ValueError: There is nothing to remember.
        """
        text = text.strip()
        if not text:
            raise ValueError("There is nothing to remember.")
        before = await self._known(memory_id)
        after: Fact | Episode | Skill
        if isinstance(before, Fact):
            after = await self._store.facts.supersede(
                memory_id, text, source_ids=before.source_ids, session_id=before.session_id
            )
        elif isinstance(before, Episode):
            async with self._store.episodes.batch() as batch:
                batch.retell(memory_id, text, tags=before.tags)
            after = msgspec.structs.replace(before, text=text)
        else:
            after = await self._store.skills.change_text(memory_id, text)
        self._changed(before.entity_id)
        return _kept(after)

    async def pin(self, memory_id: str, pinned: bool) -> Kept:
        """Let it be thought of at every question, or no more.

        Raises:
            UnknownMemoryError: It is not there.
        """
        before = await self._known(memory_id)
        after = await self._keeper(before).pin(memory_id, pinned)
        self._changed(before.entity_id)
        return _kept(after)

    async def forget(self, memory_id: str, *, everywhere: bool = False) -> None:
        """Remove a memory for good, a fact with what it superseded.

        The messages it was learnt from, and the answers to them, are recalled no more.

        Args:
            memory_id: Which.
            everywhere: Also strike the statement out of every message, title and summary, and
                remove the copies of the database that were made before an upgrade. Copies that the
                user has made stay as they are.

        Raises:
            UnknownMemoryError: It is not there.
        """
        before = await self._known(memory_id)
        history: list[Fact] = []
        if isinstance(before, Fact):
            history = await self._store.facts.history(memory_id)
            async with self._store.facts.batch() as batch:
                for fact in history:
                    batch.forget(fact.id)
        else:
            await self._keeper(before).forget(memory_id)
        if isinstance(before, Episode) and before.session_id:
            await self._set_state(before.session_id, NO_EPISODE, True)
        sources = frozenset(source for fact in history for source in fact.source_ids)
        await forgetting.leave_out(self._store, sources)
        if everywhere:
            said = [(fact.text, fact.subject) for fact in history] or [(before.text, "")]
            targets = await asyncio.to_thread(
                lambda: [forgetting.Target.of(text, subject) for text, subject in said]
            )
            touched = await forgetting.strike_everywhere(
                self._store, targets, sources, before.entity_id
            )
            self._recall.forget(before.entity_id)
            await self._tell_sessions(touched)
        await self._store.scrub(everything=everywhere)
        self._changed(before.entity_id)

    async def forget_matching(self, text: str, *, entity_id: str | None = None) -> list[Kept]:
        """Remove what says `text`, or nearly that. Returns what it was; the caller has asked."""
        found = await self.matching(text, entity_id=entity_id)
        for one in found:
            await self.forget(one.id)
        return found

    async def matching(self, text: str, *, entity_id: str | None = None) -> list[Kept]:
        """What `forget_matching` would remove: what says `text`, nearly that, or is about it."""
        wanted = stems(text) - stems("user forget remember")
        said = _as_statements(text, "") if text.strip() else []
        found = await self.search(entity_id=entity_id, limit=1_000)
        return [one for one in found if _matches(one, wanted, said)]

    async def sources(self, memory_id: str) -> list[Message]:
        """The messages that a memory was learnt from, those that are still kept."""
        found = await self._find(memory_id)
        ids = found.source_ids if isinstance(found, Fact) else ()
        messages = [await self._store.messages.get(one) for one in ids]
        return [message for message in messages if message is not None]

    async def history(self, memory_id: str) -> list[Kept]:
        """What a fact said before, the newest first; nothing for what is no fact."""
        return [_kept(fact) for fact in (await self._store.facts.history(memory_id))[1:]]

    async def figures(self, entity_id: str | None = None) -> dict[Kind, int]:
        """How many of a person's memories there are of each kind; facts: those that hold now."""
        return {
            "fact": await self._store.facts.count(entity_id),
            "episode": await self._store.episodes.count(entity_id),
            "skill": await self._store.skills.count(entity_id),
        }

    def note(self, question: Message, info: ModelInfo | None) -> None:
        """Write down what rules read in a question, in the background, even at the end.

        Args:
            question: It has been answered, or its answer has failed.
            info: The model that answered. One that is able will read more than the rules, so they
                only note what the user asks to remember.
        """
        able = info is not None and not is_weak(info)
        explicit = able or not self._settings.memory.extract
        tells = not explicit and (question.position + 2) % EPISODE_EVERY == 0
        if tells or statements(question.content, explicit=explicit):
            self._submit(
                "note what was told",
                Lane.STORAGE,
                lambda _job: self.learn(question.session_id, explicit=explicit),
            )

    def read(self, question: Message, backend: Backend, info: ModelInfo) -> None:
        """Let a model read what was told, in the background; nothing for one that is weak.

        What it has not read when the next question comes is read after that one's answer.
        """
        if is_weak(info) or not self._settings.memory.extract or not may_tell(question.content):
            return
        self._submit(
            "learn what was told",
            Lane.BACKGROUND,
            lambda _job: self.learn(question.session_id, backend=backend, info=info),
            deadline=LEARNING_SECONDS,
        )

    async def learn(
        self,
        session_id: str,
        *,
        explicit: bool = False,
        backend: Backend | None = None,
        info: ModelInfo | None = None,
    ) -> None:
        """Learn what was said in a session since the last time, by a model or else by rules.

        When there is no room for more, the user is told so once, and the rest is not remembered.

        Args:
            session_id: Where.
            explicit: Only what was asked to be remembered; without a model.
            backend: Runs the model.
            info: A model that is able; by default rules read.
        """
        async with self._bound:
            session = await self._store.sessions.get(session_id)
            if session is None or session.deleted_at is not None:
                return
            try:
                if backend is not None and info is not None:
                    kept = await self._learning.by_model(
                        session, backend, info, keep_alive=self._settings.ollama.keep_alive
                    )
                else:
                    kept = await self._learning.by_rules(session, explicit=explicit)
            except QuotaExceededError as error:
                if error.message != self._told_quota:
                    self._told_quota = error.message
                    self._events.emit(Notice(text=str(error), severity="warning"))
                return
            except UnknownSessionError:
                return  # it was purged meanwhile
            if kept:
                self._changed(session.user_id)

    async def catch_up(self) -> None:
        """Learn by rules what was said in the latest sessions before the program ended."""
        explicit = not self._settings.memory.extract
        for session in await self._store.sessions.list(limit=LATEST):
            await self.learn(session.id, explicit=explicit)

    async def wait(self) -> None:
        """Wait until everything that was said so far is remembered."""
        while self._jobs:
            await asyncio.gather(*(job.ended() for job in tuple(self._jobs)))
            self._jobs = {job for job in self._jobs if not job.state.over}

    def _submit(
        self,
        name: str,
        lane: Lane,
        work: Callable[[Job[None]], Awaitable[None]],
        deadline: float | None = None,
    ) -> None:
        self._jobs = {job for job in self._jobs if not job.state.over}
        self._jobs.add(self._pool.submit(name, lane, work, deadline=deadline))

    async def _remember_skill(
        self, name: str, text: str, entity_id: str | None, process_id: str | None
    ) -> Skill:
        before = await self._store.skills.named(name, entity_id)
        if before is None:
            await self._make_room(entity_id)
            try:
                return await self._store.skills.add(
                    name, text, entity_id=entity_id, process_id=process_id
                )
            except SkillExistsError:  # somebody else was quicker
                before = await self._store.skills.named(name, entity_id)
        if before is None:
            raise UnknownMemoryError(f"There is no skill “{name}”.")
        return await self._store.skills.change_text(before.id, text)

    async def _make_room(self, entity_id: str | None) -> None:
        if await self._quotas.room(entity_id) < 1:
            raise self._quotas.full()

    async def _find(self, memory_id: str) -> Fact | Episode | Skill | None:
        return (
            await self._store.facts.get(memory_id)
            or await self._store.episodes.get(memory_id)
            or await self._store.skills.get(memory_id)
        )

    async def _known(self, memory_id: str) -> Fact | Episode | Skill:
        found = await self._find(memory_id)
        if found is None:
            raise UnknownMemoryError("There is no such memory.")
        return found

    def _keeper(self, memory: Fact | Episode | Skill) -> Any:
        """The store of that kind of memory."""
        if isinstance(memory, Fact):
            return self._store.facts
        return self._store.episodes if isinstance(memory, Episode) else self._store.skills

    async def _set_state(self, session_id: str, key: str, value: Any) -> None:
        with suppress(UnknownSessionError):  # it was purged
            await self._store.sessions.set_state(session_id, key, value)

    async def _tell_sessions(self, session_ids: set[str]) -> None:
        for session_id in session_ids:
            session: Session | None = await self._store.sessions.get(session_id)
            if session is not None and session.deleted_at is None:
                self._events.emit(SessionChanged(session=session))
                self._events.emit(BranchShown(session_id=session_id))

    def _changed(self, entity_id: str | None) -> None:
        self._told_quota = ""
        self._events.emit(MemoriesChanged(entity_id=entity_id))


class _Whose(TypedDict):
    entity_id: str | None
    process_id: str | None


def _as_statements(text: str, name: str) -> list[Statement]:
    """What to remember: in the words of a rule if one knows it, else as it is."""
    if name:
        return [Statement(subject=name.lower(), text=text, confidence=1.0, single=True)]
    found = statements(f"Remember that {text}", explicit=True)
    if found and all(one.subject for one in found):
        return [msgspec.structs.replace(one, confidence=1.0) for one in found]
    return [Statement(subject="", text=text, confidence=1.0)]


def _matches(kept: Kept, wanted: frozenset[str], said: Sequence[Statement]) -> bool:
    """Whether a memory is what somebody wants forgotten."""
    if not wanted:
        return False
    told = stems(kept.text) - stems("user")
    named = stems(kept.name)
    if wanted in (named, stems(SUBJECTS.get(kept.name, ""))):
        return True
    if any(told == stems(one.text) - stems("user") for one in said):
        return True
    if wanted <= stems(SUBJECTS.get(kept.name, "")) and kept.kind == "fact":
        return True
    if wanted <= told | named and wanted & (point(kept.text, kept.name) | named):
        return True
    return len(wanted & told) >= ALIKE * len(wanted | told)


def _kept(memory: Fact | Episode | Skill) -> Kept:
    if isinstance(memory, Fact):
        return Kept(
            id=memory.id,
            kind="fact",
            text=memory.text,
            name=memory.subject,
            created_at=memory.created_at,
            valid_from=memory.valid_from,
            valid_to=memory.valid_to,
            superseded_by=memory.superseded_by,
            confidence=memory.confidence,
            source_ids=memory.source_ids,
            entity_id=memory.entity_id,
            process_id=memory.process_id,
            session_id=memory.session_id,
            pinned=memory.pinned,
        )
    return Kept(
        id=memory.id,
        kind="episode" if isinstance(memory, Episode) else "skill",
        text=memory.text,
        name=memory.name if isinstance(memory, Skill) else "",
        created_at=memory.created_at,
        valid_from=memory.created_at,
        entity_id=memory.entity_id,
        process_id=memory.process_id,
        session_id=memory.session_id if isinstance(memory, Episode) else None,
        pinned=memory.pinned,
    )
