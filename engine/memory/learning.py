"""Learning: statements become facts, a conversation becomes an episode, in one write each.

How far a session has been read is kept in its state, so what was not learnt, because a question
came between or the program ended, is learnt the next time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeAlias

from engine.llm.base import ModelError
from engine.memory.extraction import extract
from engine.memory.rules import statements
from engine.memory.striking import point, stems, whole
from engine.titles import first_words
from storage.records import Finish, Role
from storage.waiting import to_its_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.llm.base import Backend, ModelInfo
    from engine.memory.quotas import Quotas
    from engine.memory.rules import Statement
    from storage.facts import FactBatch
    from storage.records import Fact, Message, Session
    from storage.store import Store

    Told: TypeAlias = tuple[Statement, tuple[str, ...], float]
    """A statement, the messages that make it, and when it was made."""

log = logging.getLogger(__name__)

NOTED, LEARNT, NO_EPISODE = "noted", "learnt", "no episode"
"""Keys of a session's state: the last message that rules read, the last that a model read, and
that the user has forgotten the episode."""

PROCESS = "process_id"
"""The key of a session's state that names the program or persona."""

MOST_BACK = 200
"""Of a session that was never read, so many of the last messages are."""

AT_ONCE = 12
"""Messages that a model reads at a time."""

PAGE = 20
MOST_FACTS = 5_000
MOST_KNOWN = 20
"""Facts that a model is told are known."""

EPISODE_FROM = 6
"""A session of fewer messages is no episode."""

QUESTIONS = 6
"""Of these an episode is made that no model tells."""


class Learning:
    """Writes down what is told, one person's statements at a time."""

    def __init__(self, store: Store, quotas: Quotas) -> None:
        self._store = store
        self._quotas = quotas
        self._one_at_a_time = asyncio.Lock()

    async def keep(
        self,
        told: Sequence[Told],
        *,
        entity_id: str | None,
        process_id: str | None,
        session_id: str | None,
    ) -> list[Fact]:
        """Write statements down. What is known becomes surer; what contradicts supersedes.

        Returns:
            The facts that hold of them, in order.

        Raises:
            QuotaExceededError: There was no room for all; those that had room are kept.
        """
        owner = {"entity_id": entity_id, "process_id": process_id, "session_id": session_id}
        async with self._one_at_a_time:
            room = await self._quotas.room(entity_id)
            holding = await self._store.facts.search(entity_id=entity_id, limit=MOST_FACTS)
            async with self._store.facts.batch() as batch:
                # Thousands of facts may have to be compared.
                kept, full = await to_its_end(
                    asyncio.to_thread(_plan, batch, holding, told, room, owner)
                )
        if full:
            raise self._quotas.full()
        return kept

    async def by_rules(self, session: Session, *, explicit: bool) -> list[Fact]:
        """Learn what was said in a session since the last time, by rules.

        Args:
            session: Where.
            explicit: Only what was asked to be remembered.

        Raises:
            QuotaExceededError: There was no room for all.
        """
        messages = await self._since(session, NOTED)
        if not messages:
            return []
        told = [
            (statement, (message.id,), message.created_at)
            for message in messages
            if message.role is Role.USER
            for statement in statements(message.content, explicit=explicit)
        ]
        try:
            kept = await self._keep_of(session, told)
        finally:
            await self._store.sessions.set_state(session.id, NOTED, messages[-1].id)
        if not explicit:
            await self._tell(session, "")
        return kept

    async def by_model(
        self, session: Session, backend: Backend, info: ModelInfo, *, keep_alive: str | None
    ) -> list[Fact]:
        """Learn what was said in a session since the last time, as a model reads it.

        Raises:
            QuotaExceededError: There was no room for all, or the day's tokens are spent.
        """
        messages = await self._since(session, LEARNT)
        kept: list[Fact] = []
        for start in range(0, len(messages), AT_ONCE):
            some = messages[start : start + AT_ONCE]
            await self._quotas.check_tokens(session.user_id)
            known = await self._store.facts.search(entity_id=session.user_id, limit=MOST_KNOWN)
            about = ""
            try:
                read = await extract(
                    backend,
                    info,
                    some,
                    known=[fact.text for fact in known],
                    keep_alive=keep_alive,
                )
            except ModelError as error:
                log.info("no facts from %s: %s", info.ref, error.kind)
                found = [
                    (statement, one.id)
                    for one in some
                    if one.role is Role.USER
                    for statement in statements(one.content)
                ]
            else:
                await self._quotas.spend(session.user_id, read.tokens)
                found, about = list(read.statements), read.about
            times = {one.id: one.created_at for one in some}
            told = [(statement, (source,), times[source]) for statement, source in found]
            try:
                kept += await self._keep_of(session, told)
            finally:
                await self._store.sessions.set_state(session.id, LEARNT, some[-1].id)
            if about:
                await self._tell(session, about)
        return kept

    async def _keep_of(self, session: Session, told: Sequence[Told]) -> list[Fact]:
        if not told:
            return []
        return await self.keep(
            told,
            entity_id=session.user_id,
            process_id=session.state.get(PROCESS),
            session_id=session.id,
        )

    async def _since(self, session: Session, key: str) -> list[Message]:
        """What was said and is finished behind the message that the session's state names."""
        last = session.state.get(key, "")
        found: list[Message] = []
        end = session.message_count
        while end > 0 and len(found) < MOST_BACK:
            page = await self._store.messages.page(session.id, max(0, end - PAGE), end)
            new = [message for message in page if message.id > last]
            found = [*new, *found]
            if len(new) < len(page):
                break
            end -= len(page) or PAGE
        found = found[-MOST_BACK:]
        # What was forgotten is not learnt again from where it was told.
        left_out = await self._store.recall_source.left_out([message.id for message in found])
        return [
            message
            for message in found
            if message.id not in left_out
            and message.role in (Role.USER, Role.ASSISTANT)
            and message.finish is not Finish.STREAMING
            and message.content.strip()
        ]

    async def _tell(self, session: Session, about: str) -> None:
        """Write down what a session is about, instead of what was written before."""
        if session.message_count < EPISODE_FROM or session.state.get(NO_EPISODE):
            return
        text = about or await self._asked(session)
        if not text:
            return
        before = await self._store.episodes.search(
            session_id=session.id, entity_id=session.user_id, limit=1
        )
        if before and before[0].text == text:
            return
        if not before and await self._quotas.room(session.user_id) < 1:
            raise self._quotas.full()
        async with self._store.episodes.batch() as batch:
            if before:
                batch.retell(before[0].id, text, tags=before[0].tags)
            else:
                batch.add(
                    text,
                    session_id=session.id,
                    entity_id=session.user_id,
                    process_id=session.state.get(PROCESS),
                )

    async def _asked(self, session: Session) -> str:
        messages = await self._store.messages.tail(session.id, 4 * QUESTIONS)
        asked = [one.content for one in messages if one.role is Role.USER and one.content.strip()]
        told = "; ".join(first_words(one) for one in asked[-QUESTIONS:])
        return f"The user and the assistant talked about: {told}" if told else ""


def _plan(
    batch: FactBatch,
    holding: list[Fact],
    told: Sequence[Told],
    room: float,
    owner: dict[str, str | None],
) -> tuple[list[Fact], bool]:
    """Fill a batch with what statements change in what holds.

    Returns:
        The facts that hold of the statements, and whether there was no room for others.
    """
    kept: list[Fact] = []
    full = False
    for statement, source_ids, at in told:
        _end(batch, holding, statement, at)
        known = next((fact for fact in holding if same(fact, statement)), None)
        if known is not None:
            sure = 1 - (1 - known.confidence) * (1 - statement.confidence)
            batch.confirm(known, source_ids=source_ids, confidence=min(1.0, sure))
            kept.append(known)
            continue
        rivals = [
            fact for fact in holding if statement.single and fact.subject == statement.subject
        ]
        if any(fact.valid_from > at for fact in rivals):
            continue  # it was told before what is known now
        if rivals:
            fact = batch.supersede(
                rivals[0],
                statement.text,
                source_ids=source_ids,
                confidence=statement.confidence,
                valid_from=at,
                session_id=owner["session_id"],
                process_id=owner["process_id"],
            )
            for other in rivals[1:]:
                batch.end(other, at)
            holding[:] = [one for one in holding if one not in rivals]
        elif room < 1:
            full = True
            continue
        else:
            room -= 1
            fact = batch.add(
                statement.subject,
                statement.text,
                source_ids=source_ids,
                confidence=statement.confidence,
                valid_from=at,
                session_id=owner["session_id"],
                entity_id=owner["entity_id"],
                process_id=owner["process_id"],
            )
        holding.insert(0, fact)
        kept.append(fact)
    return kept, full


def same(fact: Fact, statement: Statement) -> bool:
    """Whether a fact says what a statement says, in these words or nearly."""
    if _plain(fact.text) == _plain(statement.text):
        return True
    one, other = whole(fact.text), whole(statement.text)
    if one == other:
        return bool(one)
    if fact.subject != statement.subject or not statement.subject:
        return False
    return point(fact.text, fact.subject) == point(statement.text, statement.subject)


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def _end(batch: FactBatch, holding: list[Fact], statement: Statement, at: float) -> None:
    """End the facts that a statement says hold no more."""
    over = stems(statement.ends)
    if not over:
        return
    for fact in tuple(holding):
        if over <= stems(f"{fact.subject} {fact.text}") and not same(fact, statement):
            batch.end(fact, at)
            holding.remove(fact)
