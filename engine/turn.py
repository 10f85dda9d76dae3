"""A turn: from a committed question to a committed answer, whatever happens in between.

Where the model calls tools, a turn has several steps: what the model said and called, the results,
what it said then. A call that needs consent ends the turn as pending; `resume` goes on from there,
in another run of the program if need be.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.consent import Consent, Decision
from engine.context.budget import pack
from engine.context.material import gather
from engine.context.tokens import count
from engine.events import (
    AnswerDelta,
    AnswerEnded,
    AnswerRead,
    CallsBegun,
    ConsentNeeded,
    ContextPacked,
    Events,
    MessageAdded,
    TurnEnded,
)
from engine.images import images_in, with_bytes
from engine.llm.base import ChatMessage, ModelError, Options
from engine.models import takes_tools, windowed
from engine.parameters import effective
from engine.pool import Job, Lane, Pool
from engine.tools.registry import ToolContext, ToolResult
from engine.unkept import keep
from storage.errors import StorageError, UnknownSessionError
from storage.records import Failure, Finish, Message, Role, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from engine.config import Settings
    from engine.context.budget import Packed
    from engine.llm.base import Backend, ChatRequest, ModelInfo
    from engine.mcp.servers import Servers
    from engine.memory.memories import Memories
    from engine.memory.recall import Recall
    from engine.models import Models
    from engine.plugin_finder import Plugins
    from engine.research.pipeline import Desk, Research
    from engine.tools.registry import Registry
    from engine.unkept import Unkept
    from storage.articles import Article
    from storage.store import Store

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5
"""A crash loses at most this much of an answer."""

LONGEST_ANSWER = 2_000_000
"""Characters, thinking included: a book. What goes on beyond would go on for ever."""

MOST_CALLS = 100
"""Calls in one step; a model that makes more has lost its way."""

LONGEST_ID = 200
"""Characters of a call's id; a longer one is replaced."""

MOST_STEPS = 8
"""How often a turn may call tools and ask the model again."""


class Workshop(msgspec.Struct, kw_only=True):
    """What every turn of an engine works with. The settings may be replaced."""

    store: Store
    models: Models
    recall: Recall
    memory: Memories
    tools: Registry
    servers: Servers
    plugins: Plugins
    pool: Pool
    events: Events
    unkept: Unkept
    settings: Settings
    cache_dir: Path
    config_dir: Path
    desk: Callable[[], Awaitable[Desk]]
    """Where research begins."""

    call_ids: set[str] = msgspec.field(default_factory=set)
    """The ids of all tool calls that models have made."""


class Turn:
    """One question and its answer, which is on disk from the first moment and grows there.

    Attributes:
        question: The user's message, committed.
        answer: The answer as it was last committed: streaming, and in the end its last form.
        packed: What the model was last shown; None before that is known.
        info: The model that answers; None before that is known.
        running: The calls that are being run.
        pending: The calls that wait for consent, once the turn is over.
        research: What goes before the answer, or what the model asked for; None without any.
    """

    def __init__(
        self,
        shop: Workshop,
        *,
        question: Message,
        answer: Message,
        model: str | None,
        when_over: Callable[[Turn], None],
        last: Message | None = None,
        decisions: Mapping[str, Decision] | None = None,
        extra: str = "",
        research: Research | None = None,
        goes_on: bool = False,
        shown: Sequence[Article] = (),
    ) -> None:
        self.question = question
        self.research = research
        self.answer = answer
        self.packed: Packed | None = None
        self.backend: Backend | None = None
        self.info: ModelInfo | None = None
        self.running: tuple[ToolCall, ...] = ()
        self.pending: tuple[ToolCall, ...] = ()
        self.over = False
        self._last = last or answer
        self._extra = extra
        self._shop = shop
        self._model = model
        self._when_over = when_over
        self._decisions = decisions
        self._consent = Consent(shop.store, question.session_id)
        self._job: Job[Message] | None = None
        self._stopped = False
        self._reads_first = research is not None
        self._shown = shown  # articles: [1] is the first
        self._looking_up = asyncio.Lock()
        self._ending = asyncio.Lock()
        self._text = [answer.content] if goes_on else []
        self._thinking = [answer.thinking] if goes_on else []
        self._begun = answer.content if goes_on else ""
        self._size = len(self._begun)
        self._calls: list[ToolCall] = []
        self._usage = Usage()

    @property
    def session_id(self) -> str:
        """The session that the turn belongs to."""
        return self.question.session_id

    @property
    def so_far(self) -> Message:
        """The answer with all that has come of it, which can be more than was committed."""
        if self.over:
            return self.answer
        return msgspec.structs.replace(
            self.answer, content="".join(self._text), thinking="".join(self._thinking)
        )

    def begin(self) -> None:
        """Hand the turn to the pool; turns of one session run in order."""
        self._job = self._shop.pool.submit(
            "answer", Lane.CHAT, self._run, key=f"session {self.session_id}"
        )

    async def stop(self) -> Message:
        """End the answer where it is, keep what has come, and return it."""
        self._stopped = True
        if self._job is not None:
            self._job.cancel()
        return await self.wait()

    async def wait(self) -> Message:
        """Wait for the answer's last form, and return it."""
        if self._job is not None:
            await self._job.ended()
        # A job that was cancelled while it waited in line never ran.
        await self._end(self._broken_off)
        return self.answer

    @property
    def _broken_off(self) -> Finish:
        closing = self._shop.pool.closing and not self._stopped
        return Finish.INTERRUPTED if closing else Finish.STOPPED

    async def _run(self, job: Job[Message]) -> Message:
        try:
            await self._answer(job)
            await self._end(Finish.COMPLETE)
        except asyncio.CancelledError:
            await self._end(self._broken_off)
            raise
        except ModelError as error:
            await self._end(Finish.FAILED, error.failure)
        except StorageError as error:
            await self._end(Finish.FAILED, _storage_failure(error))
        except Exception as error:
            log.exception("a turn failed in a way that nobody foresaw")
            await self._end(
                Finish.FAILED,
                Failure(
                    kind="internal",
                    message=f"Something went wrong inside Scrubjay: {type(error).__name__}.",
                    next_step="Try again. `scrubjay doctor` says where the log file is.",
                ),
            )
        return self.answer

    async def _answer(self, job: Job[Message]) -> None:
        """Ask the model, run what it calls, and ask again, until it calls nothing more."""
        await self._shop.plugins.load()
        # While the turn waited, the one before it may have moved it on.
        self.answer = await self._shop.store.messages.get(self.answer.id) or self.answer
        if self.question.token_count is None:
            tokens = await count(self.question.content)
            await self._shop.store.messages.set_token_count(self.question.id, tokens)
        if self.research is not None and not await self._found_something(self.research, job):
            return
        if self._decisions is not None:
            self._shown = list((await self._shop.store.articles.cited(self._last.id)).values())
            if await self._wait_for_consent(self._decisions):
                return
        for _ in range(MOST_STEPS):
            await self._ask(job)
            if not self._calls:
                if not (self._text or self._thinking):
                    raise ModelError(
                        "empty_answer", f"{self._model_name} answered with nothing.", "Try again."
                    )
                if self._shown:
                    self._add_sources()
                return
            await self._commit(Finish.COMPLETE)
            await self._consent.ask(self._calls)
            if await self._wait_for_consent({}):
                return
        raise ModelError(
            "too_many_steps",
            f"{self._model_name} called tools {MOST_STEPS} times and did not come to an answer.",
            "Ask in smaller steps, or choose a larger model.",
        )

    async def _found_something(self, research: Research, job: Job[Message]) -> bool:
        """Do the research. Where it finds nothing, that is the answer, and no model is asked."""
        self.backend, self.info = await self._shop.models.ready(self._model)
        job.report(detail="researching")
        await research.gather(self.backend, self.info)
        if not research.articles:
            self._take(research.nothing_found(), "")
        return bool(research.articles)

    async def _look_up(self, question: str) -> str:
        """Research what a model wants to know, and give it the articles; one run at a time."""
        async with self._looking_up:
            self.backend, self.info = await self._shop.models.ready(self._model)
            desk = await self._shop.desk()
            self.research = research = desk.begin(self.question, question, self._shown)
            await research.gather(self.backend, self.info)
            told = await research.told(self.info)
            self._shown = research.shown
            return told

    async def _cite(self, message_id: str) -> None:
        """Keep what the numbers in a message stand for."""
        if self._shown:
            ids = [article.id for article in self._shown]
            await self._shop.store.articles.cite(message_id, ids)

    def _add_sources(self) -> None:
        """Put the articles under the answer, and what is wrong with its citations."""
        from engine.research.synthesis import closing  # late: most turns need none of it

        answer = "".join(self._text)
        if self.research is not None:
            self.research.check(answer)
        self._take(closing(self.question.content, answer, self._shown), "")

    async def _wait_for_consent(self, decisions: Mapping[str, Decision]) -> bool:
        """Run the calls that may run. True when others still wait for a person.

        When none does, a new answer is begun, for the model to go on with.
        """
        # What a person agrees to is what runs, though a server may say something else meanwhile.
        await self._shop.servers.ready_for(await self._consent.waiting())
        tools = self._shop.tools.as_now()
        context = ToolContext(
            session_id=self.session_id,
            store=self._shop.store,
            folders=tuple(Path(folder) for folder in self._shop.settings.tools.folders),
            research=self._shop.settings.research,
            cache_dir=self._shop.cache_dir,
            look_up=self._look_up,
            memory=self._shop.memory,
            question_id=self.question.id,
        )
        verdicts = await self._consent.decide(tools, decisions)
        self.running = tuple(call for call, verdict in verdicts if verdict.approve)
        self._shop.events.emit(CallsBegun(session_id=self.session_id, calls=self.running))
        began = time.time()
        results = await asyncio.gather(
            *(
                _timed(tools.call(context, call)) if verdict.approve else _denied(verdict)
                for call, verdict in verdicts
            )
        )
        self.running = ()
        for (call, verdict), (result, seconds) in zip(verdicts, results, strict=True):
            failed = "tool" if verdict.approve else "denied"
            await self._add_result(call, result, failed, began, seconds)
            await self._consent.settle(call)
        self.pending = await self._consent.waiting()
        if self.pending:
            self._shop.events.emit(ConsentNeeded(session_id=self.session_id, calls=self.pending))
            return True
        await self._begin_step()
        return False

    async def _add_result(
        self, call: ToolCall, result: ToolResult, failed: str, began: float, seconds: float
    ) -> None:
        self._last = await self._shop.store.messages.insert(
            self._last.id,
            role=Role.TOOL,
            content=result.text,
            token_count=await count(result.text),
            tool_call_id=call.id,
            failure=Failure(kind=failed, message=result.text) if result.failed else None,
            created_at=began,
            finished_at=began + seconds,
        )
        await self._cite(self._last.id)
        self._shop.events.emit(MessageAdded(message=self._last, inserted=True))

    async def _begin_step(self) -> None:
        self.answer = self._last = await self._shop.store.messages.insert(
            self._last.id,
            role=Role.ASSISTANT,
            content="",
            model=self.info.ref if self.info else None,
            finish=Finish.STREAMING,
        )
        self._text, self._thinking, self._calls, self._usage = [], [], [], Usage()
        self._size = 0
        self._begun = ""
        self._shop.events.emit(MessageAdded(message=self.answer, inserted=True))

    async def _ask(self, job: Job[Message]) -> None:
        """One call of the model, streamed into the answer."""
        shop = self._shop
        self.backend, self.info = await shop.models.ready(self._model)
        job.report(detail=f"packing for {self.info.ref}")
        if images_in(self.question.content) and "vision" not in self.info.capabilities:
            raise ModelError(
                "unseeing",
                f"{self.info.ref} can't see images.",
                "Choose a model that can, and answer again.",
            )
        if takes_tools(self.info):
            await shop.servers.settled()
        session = await shop.store.sessions.get(self.session_id)
        if session is None:
            raise UnknownSessionError(f"There is no session {self.session_id}.")
        settings = await asyncio.to_thread(effective, shop.settings, session, shop.config_dir)
        self.info = windowed(self.info, settings.model.context_length)
        material = await gather(
            store=shop.store,
            recall=shop.recall,
            tools=shop.tools,
            settings=settings,
            session=session,
            info=self.info,
            question=self.question.content,
            end=self.answer.position,
            extra=self._extra,
        )
        if self.research is not None and self._reads_first:
            material = self.research.added_to(material)
        elif self._begun and self._shown:
            from engine.research.synthesis import with_articles  # late: most turns need none of it

            material = with_articles(material, self._shown)
        self.packed = await pack(
            material,
            backend=self.backend,
            info=self.info,
            options=options_of(settings),
            think=settings.model.think,
            keep_alive=settings.ollama.keep_alive,
            priority=settings.context.priority,
        )
        if self._begun:
            self.packed = _going_on(self.packed, self._begun)
        shop.events.emit(ContextPacked(session_id=self.session_id, packed=self.packed))
        if self.research is not None and self._reads_first:
            self.research.show(self.packed.articles)
            self._shown = self.research.shown
        await self._cite(self.answer.id)
        job.report(detail=self.info.ref)
        async with self._saving():
            request = await with_bytes(self.packed.request, shop.store.images.get)
            await self._stream(job, self.backend, request)

    async def _stream(self, job: Job[Message], backend: Backend, request: ChatRequest) -> None:
        sent = time.monotonic()
        first: float | None = None
        told = Usage()
        async with aclosing(backend.chat(request)) as chunks:
            async for chunk in chunks:
                if chunk.read is not None:
                    job.report(chunk.read, "reading the prompt")
                    self._shop.events.emit(
                        AnswerRead(
                            session_id=self.session_id, message_id=self.answer.id, share=chunk.read
                        )
                    )
                self._calls.extend(self._under_its_own_id(call) for call in chunk.tool_calls)
                if chunk.text or chunk.thinking:
                    if first is None:
                        first = time.monotonic() - sent
                        job.report(detail="writing the answer")
                    self._take(chunk.text, chunk.thinking)
                if self._size > LONGEST_ANSWER or len(self._calls) > MOST_CALLS:
                    raise ModelError(
                        "endless",
                        f"{self._model_name} did not come to an end, and was stopped.",
                        "Ask again, or choose another model.",
                    )
                told = chunk.usage or told
                self._usage = msgspec.structs.replace(
                    told, first_token_seconds=first, total_seconds=time.monotonic() - sent
                )

    def _under_its_own_id(self, call: ToolCall) -> ToolCall:
        """The call under an id that no other has: consent goes by ids, and models choose them."""
        if not 0 < len(call.id) <= LONGEST_ID or call.id in self._shop.call_ids:
            call = msgspec.structs.replace(call, id=f"call_{uuid.uuid4().hex}")
        self._shop.call_ids.add(call.id)
        return call

    def _take(self, text: str, thinking: str) -> None:
        self._size += len(text) + len(thinking)
        if text:
            self._text.append(text)
        if thinking:
            self._thinking.append(thinking)
        self._shop.events.emit(
            AnswerDelta(
                session_id=self.session_id, message_id=self.answer.id, text=text, thinking=thinking
            )
        )

    @asynccontextmanager
    async def _saving(self) -> AsyncIterator[None]:
        """Checkpoint the answer while it grows, in a job of its own, so that no chunk waits."""
        over = asyncio.Event()

        async def save(_job: Job[None]) -> None:
            saved = 0
            while not over.is_set():
                try:
                    await asyncio.wait_for(over.wait(), CHECKPOINT_SECONDS)
                except TimeoutError:
                    grown = len(self._text) + len(self._thinking)
                    if grown > saved:
                        saved = grown
                        await self._shop.store.messages.checkpoint(
                            self.answer.id,
                            content="".join(self._text),
                            thinking="".join(self._thinking),
                        )

        saver = self._shop.pool.submit("save the answer as it grows", Lane.STORAGE, save)
        try:
            yield
        finally:
            over.set()
            await saver.ended()

    async def _end(self, finish: Finish, failure: Failure | None = None) -> None:
        """Give the turn its end, once; the first to say how it ended is right."""
        async with self._ending:
            if self.over:
                return
            if self.answer.finish is Finish.STREAMING:
                await self._commit(finish, failure)
            if self.research is not None:
                await self.research.ended(complete=finish is Finish.COMPLETE)
            self.over = True
            self._when_over(self)
            self._shop.events.emit(TurnEnded(session_id=self.session_id))

    async def _commit(self, finish: Finish, failure: Failure | None = None) -> None:
        """Commit the answer's last form, in a job that no cancellation of the turn can reach."""
        last = msgspec.structs.replace(
            self.answer,
            finish=finish,
            failure=failure,
            content="".join(self._text),
            thinking="".join(self._thinking),
            tool_calls=tuple(self._calls) if finish is Finish.COMPLETE else (),
            model=self.info.ref if self.info else self.answer.model,
            usage=self._usage,
        )

        async def commit(_job: Job[Message]) -> Message:
            counted = msgspec.structs.replace(last, token_count=await count(last.content))
            return await keep(self._shop.store, counted)

        job = self._shop.pool.submit("commit the answer", Lane.STORAGE, commit)
        cancelled: asyncio.CancelledError | None = None
        while not job.state.over:
            try:
                await job.ended()
            except asyncio.CancelledError as error:
                cancelled = error  # too late: the write goes on, and how it ends is what counts
        try:
            self.answer = await job.result()
        except StorageError as error:
            # The disk does not take it now; the screen shows it, with the reason.
            self._shop.unkept.add(last)
            self.answer = msgspec.structs.replace(
                last, finish=Finish.FAILED, failure=_storage_failure(error)
            )
        self._shop.events.emit(AnswerEnded(message=self.answer))
        if cancelled is not None:
            raise cancelled

    @property
    def _model_name(self) -> str:
        return self.info.name if self.info else "The model"


def can_go_on(answer: Message) -> bool:
    """Whether an answer ended before its end, with something to continue from."""
    broken_off = answer.finish in (Finish.STOPPED, Finish.INTERRUPTED, Finish.FAILED)
    return answer.role is Role.ASSISTANT and broken_off and bool(answer.content)


def _going_on(packed: Packed, begun: str) -> Packed:
    """What a model is shown, with the beginning of its answer at the end: it goes on from there.

    There is room for it: what it has said so far was said in the room that is kept for an answer.
    """
    messages = (*packed.request.messages, ChatMessage(role=Role.ASSISTANT, content=begun))
    request = msgspec.structs.replace(packed.request, messages=messages)
    return msgspec.structs.replace(packed, request=request)


async def _timed(running: Awaitable[ToolResult]) -> tuple[ToolResult, float]:
    """The result, and how many seconds it took."""
    began = time.monotonic()
    return await running, time.monotonic() - began


async def _denied(verdict: Decision) -> tuple[ToolResult, float]:
    reason = f": {verdict.reason}" if verdict.reason else "."
    return ToolResult(text=f"The user did not allow this call{reason}", failed=True), 0.0


def options_of(settings: Settings) -> Options:
    """How to sample, as the user has set it."""
    model = settings.model
    return Options(
        temperature=model.temperature,
        top_p=model.top_p,
        seed=model.seed,
        stop=model.stop,
        max_tokens=model.max_tokens,
    )


def _storage_failure(error: StorageError) -> Failure:
    return Failure(kind="storage", message=error.message, next_step=error.next_step)
