"""The engine: the one door through which the screen and the command line use the assistant."""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from engine.afterwards import Afterwards
from engine.attachments import with_files
from engine.cluster import maker
from engine.consent import Consent, Decision, pending_calls
from engine.context.budget import pack
from engine.context.material import gather
from engine.elsewhere import Elsewhere
from engine.events import (
    BranchShown,
    Events,
    MessageAdded,
    Notice,
    SessionChanged,
    SettingsChanged,
)
from engine.images import named, without_images
from engine.library import Library
from engine.llm.base import ModelError
from engine.mcp.servers import Servers
from engine.mcp.texts import with_resources
from engine.memory.meaning import NICENESS, Meaning
from engine.memory.memories import Memories
from engine.memory.recall import KINDS, Recall
from engine.models import Models, windowed
from engine.parameters import effective
from engine.place import open_store
from engine.plugin_finder import Plugins
from engine.pool import Job, Lane, Pool
from engine.titles import first_words
from engine.tools import built_in_tools
from engine.turn import Turn, Workshop, can_go_on, options_of
from engine.unkept import Unkept
from storage.base import LAST
from storage.errors import StorageError
from storage.records import Failure, Finish, Role, TitleOrigin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence
    from pathlib import Path

    from engine.config import Paths, Settings
    from engine.context.budget import Packed
    from engine.embedder import Embedder
    from engine.export import Exporter
    from engine.llm.base import Backend
    from engine.memory.recall import Recollection
    from engine.research.pipeline import Desk
    from engine.workers import MakeExecutor, Workers
    from storage.articles import Article
    from storage.records import Message, Session
    from storage.store import Store

log = logging.getLogger(__name__)

WENT_ON = "The user did not decide on this call and went on with something else."

SECONDS_A_DAY = 86_400.0

RESEARCHED = "researched"
"""The key in a session's state that holds the ids of the questions that are looked up first."""

PACKED_KEPT = 16
"""Of so many sessions it is known what their model was last shown."""

EMBEDDING = "embed what was said"

LAST_TURN_PAGE = 8
"""Messages read at a time to find the last question."""


class Engine:
    """The assistant, without a face.

    Made by `open`, ended by `close`. Calls go in as methods, news comes out through `events`.

    Attributes:
        events: What happens, to subscribe to.
        library: Every kept conversation.
        models: Which model answers.
        memory: What is remembered, beside the conversations themselves.
        tools: What models may call.
        servers: Other programs whose tools they may call.
        pool: The background work.
        elsewhere: What other programs do with the same store, once it is begun.
        plugins: What installed packages add.
    """

    def __init__(
        self, settings: Settings, paths: Paths, store: Store, backends: Iterable[Backend] = ()
    ) -> None:
        self.settings = settings
        self.paths = paths
        self.events = Events()
        self.pool = Pool(self.events)
        self.library = Library(store, self.events)
        self.elsewhere = Elsewhere(store, self.events)
        self.tools = built_in_tools(settings.context.compaction)
        self.plugins = Plugins(self.tools, self.events)
        self.models = Models(settings, paths, self.pool, self.events, self.plugins, backends)
        self._store = store
        self._embedder_failed = False
        self._meaning = (
            Meaning(store, self._choose_embedder, make=self._makes_workers(1, NICENESS))
            if settings.memory.embedder
            else None
        )
        recall = Recall(store, self._meaning)
        self.memory = Memories(store, recall, self.pool, self.events, settings)
        self.servers = Servers(
            settings.mcp.servers, self.tools, self.pool, self.events, paths.logins_dir
        )
        self._workshop = Workshop(
            store=store,
            models=self.models,
            recall=recall,
            memory=self.memory,
            tools=self.tools,
            servers=self.servers,
            plugins=self.plugins,
            pool=self.pool,
            events=self.events,
            unkept=Unkept(store, self.pool, self.events),
            settings=settings,
            cache_dir=paths.cache_dir,
            config_dir=paths.config_dir,
            desk=self.research_desk,
        )
        self._afterwards = Afterwards(self._workshop, self.library)
        self._setting = asyncio.Lock()
        self._desk: Desk | None = None
        self._turns: dict[str, list[Turn]] = {}
        self._packed: dict[str, Packed] = {}
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def store(self) -> Store:
        """Where everything is kept, for tools that look into it."""
        return self._store

    @classmethod
    async def open(
        cls, settings: Settings, paths: Paths, *, backends: Iterable[Backend] = ()
    ) -> Engine:
        """Open the store, and mark answers that a dead process left unfinished.

        Touches no network and imports nothing heavy: this is what the first frame waits for.

        Args:
            settings: What the user has set.
            paths: Where everything lies.
            backends: More places where models run, beside the built-in ones.

        Raises:
            StorageError: The database can't be used; the error says what to do.
        """
        store = await open_store(settings, paths)
        try:
            engine = cls(settings, paths, store, backends)
            for message in await store.messages.interrupt_abandoned():
                log.info("the answer %s was interrupted", message.id)
        except BaseException:
            # Its threads would keep the process alive.
            await store.close()
            raise
        if days := settings.storage.archive_after_days:
            engine.pool.submit(
                "archive what is long unused",
                Lane.STORAGE,
                lambda _job: engine.library.archive_idle(days * SECONDS_A_DAY),
            )
        return engine

    async def send(self, session_id: str | None, text: str, *, extra: str = "") -> Turn:
        """Ask something. The question is on disk when this returns; the answer follows as events.

        Args:
            session_id: Where to ask; None starts a new session.
            text: What to ask.
            extra: More for the model to know, in this turn alone.

        Raises:
            StorageError: The question could not be kept, and nothing was asked.
        """
        return await self._send(session_id, text, extra=extra)

    async def attach(self, text: str, folder: Path) -> str:
        """A message with what it names by `@`: texts in it, images kept for it and named in it.

        Files are named by their paths, and resources of servers as `SERVER:URI`.

        Args:
            text: What was written.
            folder: Where relative names begin.

        Raises:
            AttachmentError: Something can't be attached; the message says why.
            StorageError: An image can't be kept.
        """
        attached = await asyncio.to_thread(with_files, text, folder)
        lines = [
            named(name, await self.library.keep_image(data), data)
            for name, data in attached.images.items()
        ]
        return await with_resources(text, "\n\n".join([attached.text, *lines]), self.servers)

    async def research(self, session_id: str | None, question: str) -> Turn:
        """Ask something whose answer is looked up everywhere at once, and cites what was found.

        Args:
            session_id: Where to ask; None starts a new session.
            question: What to find out. Pages whose addresses it names are read.

        Raises:
            StorageError: The question could not be kept, and nothing was asked.
        """
        return await self._send(session_id, question, desk=await self.research_desk())

    async def edit(self, session_id: str, message_id: str, text: str) -> Turn | None:
        """Ask an earlier question again in other words, and let the session go on from there.

        What was asked and answered from that place on stays reachable as a branch. None while an
        answer is being written in the session, and when the message is no question of it.

        Raises:
            StorageError: The question could not be kept, and nothing was asked.
        """
        before = await self._store.messages.get(message_id)
        if before is None or before.session_id != session_id or before.role is not Role.USER:
            return None
        if self.turn(session_id) is not None:
            return None
        desk = await self._desk_of(before)
        return await self._send(session_id, text, desk=desk, instead_of=before)

    async def research_desk(self) -> Desk:
        """Where research begins; made at first use, its libraries imported off the loop."""
        await self.plugins.load()
        if self._desk is None:
            pipeline = await asyncio.to_thread(import_module, "engine.research.pipeline")
            self._desk = pipeline.Desk(
                self.settings.research,
                self.paths,
                self._store,
                self.models,
                self.pool,
                self.events,
                self.plugins,
                make_workers=self._makes_workers(self.settings.research.workers),
                keep_alive=self.settings.ollama.keep_alive,
            )
        return self._desk

    async def _send(
        self,
        session_id: str | None,
        text: str,
        *,
        extra: str = "",
        desk: Desk | None = None,
        instead_of: Message | None = None,
    ) -> Turn:
        if session_id is None:
            session_id = (await self.library.create()).id
        asking = self._asking.setdefault(session_id, asyncio.Lock())
        async with asking:
            await self._give_up_waiting(session_id)
            question, answer = await self._store.messages.ask(
                session_id,
                content=text,
                model=await self._likely_model(session_id),
                parent_id=instead_of.parent_id if instead_of else LAST,
            )
            if desk is not None:
                await _can_do_without(self._note_research(question))
            if instead_of is None:
                self.events.emit(MessageAdded(message=question))
            if question.position == 0 and instead_of is None:
                words = first_words(without_images(text))
                await _can_do_without(self.library.rename(session_id, words, TitleOrigin.WORDS))
            turn = await self._begin(
                question, answer, extra=extra, desk=desk, told=instead_of is not None
            )
            if instead_of is not None:
                self.events.emit(BranchShown(session_id=session_id))
            return turn

    async def retry(self, session_id: str, *, model: str | None = None) -> Turn | None:
        """Answer the last question of a session again, by research if it was asked that way.

        The answer that was shown stays reachable as an alternative. None when there is no question,
        or when its answer is still being written.

        Args:
            session_id: Where.
            model: Who answers this time, as `provider:name`; by default who would answer anyway.

        Raises:
            StorageError: The store can't be used.
        """
        if self.turn(session_id) is not None:
            return None
        question, messages = await self._last_turn(await self.library.session(session_id))
        if question is None:
            return None
        await Consent(self._store, session_id).forget()
        shown = messages[1] if len(messages) > 1 else None
        answer = await self._store.messages.append(
            session_id,
            role=Role.ASSISTANT,
            content="",
            model=model or await self._likely_model(session_id),
            finish=Finish.STREAMING,
            parent_id=question.id,
        )
        return await self._begin(
            question,
            answer,
            replaces=shown.id if shown else None,
            model=model,
            desk=await self._desk_of(question),
        )

    async def go_on(self, session_id: str) -> Turn | None:
        """Continue the last answer where it ended, if it was stopped or broke off.

        The answer as it was stays reachable as an alternative. None when there is none to continue.

        Raises:
            StorageError: The store can't be used.
        """
        if self.turn(session_id) is not None:
            return None
        question, messages = await self._last_turn(await self.library.session(session_id))
        if question is None or not can_go_on(messages[-1]):
            return None
        before = messages[-1]
        answer = await self._store.messages.append(
            session_id,
            role=Role.ASSISTANT,
            content=before.content,
            thinking=before.thinking,
            model=before.model,
            finish=Finish.STREAMING,
            parent_id=before.parent_id,
        )
        cited = await self._store.articles.cited(before.id)
        return await self._begin(
            question, answer, replaces=before.id, goes_on=True, shown=list(cited.values())
        )

    async def confirm(
        self, session_id: str, decisions: Mapping[str, Decision], *, extra: str = ""
    ) -> Turn | None:
        """Go on with a turn that waits for consent.

        Args:
            session_id: Where it waits; this or an earlier run of the program may have begun it.
            decisions: By the calls' ids. A call without one goes on waiting.
            extra: More for the model to know, in this turn alone.

        Returns:
            The turn, or None when nothing waits there.
        """
        async with self._asking.setdefault(session_id, asyncio.Lock()):
            session = await self.library.session(session_id)
            waiting = pending_calls(session)
            if not waiting or self.turn(session_id) is not None:
                return None
            question, messages = await self._last_turn(session)
            if question is None:
                return None
            # The program may have died when a result was on disk and its call still on the list.
            answered = {message.tool_call_id for message in messages}
            for call in waiting:
                if call.id in answered:
                    await Consent(self._store, session_id).settle(call)
            calling = next(m for m in reversed(messages) if m.tool_calls)
            return await self._begin(
                question, calling, last=messages[-1], decisions=decisions, extra=extra
            )

    async def set(self, section: str, key: str, written: str | None) -> None:
        """Keep a setting in the file, and use it from now on where that needs no restart.

        Args:
            section: Of the settings file.
            key: In that section.
            written: The value, as a person writes it. None takes it back to the default.

        Raises:
            SettingsError: It can't be that, or the file can't be written.
        """
        from engine import settings_file  # late: no start writes

        async with self._setting:
            settings = settings_file.changed(self.settings, section, key, written)
            value = None if written is None else getattr(getattr(settings, section), key)
            file = self.paths.settings_file
            await asyncio.to_thread(settings_file.write, file, section, key, value)
            self.settings = self._workshop.settings = settings
        self.events.emit(SettingsChanged(settings=settings))

    def load_memory(self) -> Job[None]:
        """Read what recall looks through, in the background; else the first question waits."""
        self._embed()

        async def load(_job: Job[None]) -> None:
            await self._workshop.recall.load()
            await self.memory.catch_up()

        return self.pool.submit("read what was said before", Lane.UPKEEP, load)

    def import_file(self, file: Path) -> Job[None]:
        """Take in a file's conversations in the background; a `Notice` says what came of it."""

        async def take_in(job: Job[None]) -> None:
            from engine.imports.in_background import take_in_and_tell  # late: no start imports

            await take_in_and_tell(job, file, self.library, self.events)

        return self.pool.submit("import conversations", Lane.UPKEEP, take_in, key="import")

    async def recall(
        self,
        question: str,
        limit: int,
        *,
        tokens: int | None = None,
        kinds: Sequence[str] = KINDS,
        entity_id: str | None = None,
    ) -> list[Recollection]:
        """What would be brought back for a question, the best first.

        Args:
            question: What is asked.
            limit: How many recollections at most.
            tokens: As many as fit, by the count of their texts.
            kinds: What to bring back, of `engine.memory.recall.KINDS`.
            entity_id: Whose conversations and memories; None is the owner of the account.

        Raises:
            StorageError: The store can't be read.
        """
        return await self._workshop.recall.recall(
            question, limit, tokens=tokens, kinds=kinds, entity_id=entity_id
        )

    async def exporters(self) -> Mapping[str, Exporter]:
        """The forms that conversations can be written in, by name; those of plugins come last."""
        from engine.export import BUILT_IN  # late: no start exports

        return {**BUILT_IN, **(await self.plugins.load()).exporters}

    def packed(self, session_id: str) -> Packed | None:
        """What the model was last shown in a session; None where it was not asked in this run."""
        turn = self.turn(session_id)
        if turn is not None and turn.packed is not None:
            return turn.packed
        return self._packed.get(session_id)

    async def preview(self, session_id: str) -> Packed:
        """What a model would be shown if the last question of a session were asked now.

        Raises:
            ModelError: There is no model to pack for, or the question does not fit it.
            StorageError: The store can't be used.
        """
        await self.plugins.load()
        session = await self.library.session(session_id)
        question, messages = await self._last_turn(session)
        backend, info = await self.models.ready(session.model)
        settings = await asyncio.to_thread(effective, self.settings, session, self.paths.config_dir)
        info = windowed(info, settings.model.context_length)
        answered = bool(messages) and messages[-1].role is Role.ASSISTANT
        material = await gather(
            store=self._store,
            recall=self._workshop.recall,
            tools=self.tools,
            settings=settings,
            session=session,
            info=info,
            question=question.content if question else "",
            end=session.message_count - answered,
        )
        return await pack(
            material,
            backend=backend,
            info=info,
            options=options_of(settings),
            think=settings.model.think,
            keep_alive=settings.ollama.keep_alive,
            priority=settings.context.priority,
        )

    async def stop(self, session_id: str) -> Message | None:
        """Stop the answer that is being written in a session, and keep what has come of it."""
        turn = self.turn(session_id)
        return await turn.stop() if turn is not None else None

    def turn(self, session_id: str) -> Turn | None:
        """The turn that a session is busy with; None when it is idle."""
        return next(iter(self.turns(session_id)), None)

    def turns(self, session_id: str) -> tuple[Turn, ...]:
        """That turn, and those that wait behind it, in order."""
        return tuple(self._turns.get(session_id, ()))

    def _embed(self) -> None:
        """Make the vectors that are missing, in the background."""
        meaning = self._meaning
        waiting = [job for job in self.pool.living(Lane.UPKEEP) if job.name == EMBEDDING]
        if meaning is None or self.pool.closing or len(waiting) > 1:
            return

        async def embed(job: Job[None]) -> None:
            try:
                await meaning.catch_up(job.report)
            except ModelError as error:
                if not self._embedder_failed:
                    self._embedder_failed = True
                    text = f"Recall goes by words alone. {error}"
                    self.events.emit(Notice(text=text, severity="warning"))
                raise
            await self._workshop.recall.load()

        self.pool.submit(EMBEDDING, Lane.UPKEEP, embed, key=EMBEDDING)

    def _makes_workers(self, count: int, niceness: int = 0) -> MakeExecutor:
        """What makes the executor of `count` workers, or that of the cluster."""
        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            notice = Notice(text=text, severity="warning")
            loop.call_soon_threadsafe(self.events.emit, notice)

        return maker(self.settings.workers, tell, count, niceness)

    async def _choose_embedder(self, workers: Workers) -> Embedder:
        embedding = await asyncio.to_thread(import_module, "engine.embedding")  # imports numpy
        wanted = self.settings.memory.embedder
        chosen: Embedder = await embedding.choose_embedder(wanted, self.models, workers)
        return chosen

    async def close(self) -> None:
        """End everything in order: turns keep what they have, writes are drained, then the rest."""
        await self.elsewhere.close()
        await self.pool.close()
        for turns in tuple(self._turns.values()):
            for turn in tuple(turns):
                await turn.wait()
        await self.pool.close()  # the ends of turns have handed in more to write
        await self._workshop.unkept.keep()
        if self._meaning is not None:
            await self._meaning.close()
        await self.models.close()
        await self._store.close()

    async def _note_research(self, question: Message) -> None:
        """Note, for when it is answered again, that a question is to be looked up first."""
        session = await self.library.session(question.session_id)
        noted = [*session.state.get(RESEARCHED, ()), question.id]
        await self._store.sessions.set_state(session.id, RESEARCHED, noted)

    async def _desk_of(self, question: Message) -> Desk | None:
        """Where research begins, for a question that was asked to be looked up."""
        session = await self.library.session(question.session_id)
        noted = question.id in session.state.get(RESEARCHED, ())
        return await self.research_desk() if noted else None

    async def _likely_model(self, session_id: str) -> str | None:
        """Who will most likely answer; the answer's end says who did."""
        session = await self.library.session(session_id)
        current = self.models.current
        return session.model or (current.ref if current is not None else None)

    async def _give_up_waiting(self, session_id: str) -> None:
        """Answer the calls that wait for consent: the user asks something else instead."""
        if self.turn(session_id) is not None:
            return
        consent = Consent(self._store, session_id)
        for call in await consent.waiting():
            result = await self._store.messages.append(
                session_id,
                role=Role.TOOL,
                content=WENT_ON,
                tool_call_id=call.id,
                failure=Failure(kind="denied", message=WENT_ON),
            )
            self.events.emit(MessageAdded(message=result))
            await consent.settle(call)

    async def _last_turn(self, session: Session) -> tuple[Message | None, list[Message]]:
        """The last question of a session, and the messages from it to the end."""
        found: list[Message] = []
        end = session.message_count
        while end > 0:
            start = max(0, end - LAST_TURN_PAGE)
            for message in reversed(await self.library.page(session.id, start, end)):
                found.insert(0, message)
                if message.role is Role.USER:
                    return message, found
            end = start
        return None, found

    async def _begin(
        self,
        question: Message,
        answer: Message,
        *,
        replaces: str | None = None,
        last: Message | None = None,
        decisions: Mapping[str, Decision] | None = None,
        extra: str = "",
        desk: Desk | None = None,
        model: str | None = None,
        goes_on: bool = False,
        shown: Sequence[Article] = (),
        told: bool = False,
    ) -> Turn:
        session = await self.library.session(question.session_id)
        if decisions is None and not told:
            self.events.emit(MessageAdded(message=answer, replaces=replaces))
        turn = Turn(
            self._workshop,
            question=question,
            answer=answer,
            model=model or session.model,
            goes_on=goes_on,
            shown=shown,
            when_over=self._turn_over,
            last=last,
            decisions=decisions,
            extra=extra,
            research=desk.begin(question) if desk is not None else None,
        )
        self._turns.setdefault(question.session_id, []).append(turn)
        # A question goes first; what was going on in the background is tried again after it, unless
        # it has a host of its own.
        if not self.models.aside(model or session.model):
            for job in self.pool.living(Lane.BACKGROUND):
                job.cancel()
        turn.begin()
        await self._tell_session(question.session_id)
        return turn

    def _turn_over(self, turn: Turn) -> None:
        if turn.packed is not None:
            self._packed.pop(turn.session_id, None)
            self._packed[turn.session_id] = turn.packed
            if len(self._packed) > PACKED_KEPT:
                del self._packed[next(iter(self._packed))]
        turns = self._turns[turn.session_id]
        turns.remove(turn)
        if not turns:
            del self._turns[turn.session_id]
        self._embed()
        complete = turn.answer.finish is Finish.COMPLETE
        if not turn.pending:
            # What the user told is worth remembering though the model broke down over it.
            self.memory.note(turn.question, turn.info if complete else None)
        if complete and not turn.pending and not self.pool.closing:
            self._afterwards.begin(turn)

    async def _tell_session(self, session_id: str) -> None:
        self.events.emit(SessionChanged(session=await self.library.session(session_id)))


async def _can_do_without(work: Awaitable[object]) -> None:
    """Do what a question that is kept is asked without, should the disk not take it."""
    try:
        await work
    except StorageError as error:
        log.warning("something beside a question is not kept: %s", type(error).__name__)
