"""The pipeline of a research turn: topics, all sources at once, ranking, analysis, articles kept.

`Desk` begins a run; `Research` is one run, and what the panel shows. A run belongs to a turn: when
that is cancelled, the run's jobs, connections and processes end with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import BrokenExecutor
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from engine import encoders
from engine.context.budget import DEFAULT_WINDOW, fetched
from engine.context.tokens import count
from engine.embedding import WorkerEmbedder, choose_embedder
from engine.events import ArticleFound, ResearchChanged
from engine.llm.base import ModelError
from engine.pool import Job, JobState, Lane
from engine.prompts import prompt
from engine.research.analysis import SCRIPT, analyse
from engine.research.citations import unknown
from engine.research.errors import FetchError
from engine.research.fetching import Network
from engine.research.guard import system_resolve
from engine.research.outcome import STATE, Outcome, SourceOutcome, Stage
from engine.research.ranking import once_a_url, rank
from engine.research.sources import NAMES
from engine.research.sources.arxiv import Arxiv
from engine.research.sources.base import Query, Reach
from engine.research.sources.conversations import Conversations, Kept
from engine.research.sources.feeds import Feeds
from engine.research.sources.files import Files
from engine.research.sources.hacker_news import HackerNews
from engine.research.sources.pages import Pages
from engine.research.sources.stack_exchange import StackExchange
from engine.research.sources.wikipedia import Wikipedia
from engine.research.synthesis import excerpts, with_articles
from engine.research.topics import find_topics
from engine.research.words import urls
from engine.workers import MakeExecutor, Workers, processes
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.config import Paths, ResearchSettings
    from engine.context.budget import Excerpt, Material
    from engine.events import Events
    from engine.llm.base import Backend, ModelInfo
    from engine.models import Models
    from engine.plugin_finder import Plugins
    from engine.pool import Pool
    from engine.research.analysis import Report
    from engine.research.guard import Resolve
    from engine.research.sources.base import Source
    from engine.research.topics import Topics
    from storage.articles import Article, Draft
    from storage.records import Message
    from storage.store import Store

log = logging.getLogger(__name__)

EARLIER_MESSAGES = 6
"""Of the conversation, which say what the question is about."""

SHARE_OF_WINDOW = 4
"""Articles that a model asked for take one of so many parts of its window."""


class SourceRun:
    """One source at work in a run."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.notes: list[str] = []
        self.articles = 0
        self.job: Job[None] | None = None

    def outcome(self, limit: float) -> SourceOutcome:
        """How it is; `limit` is how many seconds it may take."""
        job = self.job
        state = job.state if job else JobState.QUEUED
        reason = ""
        if state is JobState.TIMED_OUT:
            reason = f"was not done within {limit:g} s"
        elif job is not None and isinstance(job.error, FetchError):
            reason = str(job.error)
        elif job is not None and job.error is not None:
            reason = f"broke: {type(job.error).__name__}"
        return SourceOutcome(
            name=self.source.name,
            state=state,
            reason=reason,
            articles=self.articles,
            seconds=round(job.seconds, 3) if job else 0.0,
            notes=tuple(dict.fromkeys(self.notes)),
        )


class Desk:
    """Begins runs; what they all work with.

    Attributes:
        resolve: Names to addresses, for what the guard checks.
        make_workers: Makes the executor of the workers, and what ends it.
        script: Analyses the articles.
    """

    def __init__(
        self,
        settings: ResearchSettings,
        paths: Paths,
        store: Store,
        models: Models,
        pool: Pool,
        events: Events,
        plugins: Plugins,
        *,
        make_workers: MakeExecutor | None = None,
        keep_alive: str | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.models = models
        self.pool = pool
        self.events = events
        self.plugins = plugins
        self.keep_alive = keep_alive
        self.folder = paths.cache_dir / "research"
        self.resolve: Resolve = system_resolve
        self.make_workers = make_workers or partial(processes, settings.workers)
        self.script: Path = SCRIPT

    def begin(
        self, question: Message, wanted: str | None = None, earlier: Sequence[Article] = ()
    ) -> Research:
        """A run for a question; nothing happens before its `gather`.

        Args:
            question: What the user asked.
            wanted: What a model wants to find out, where it is the one that asks.
            earlier: Articles that the model was shown before; they keep their numbers.
        """
        sources = self.sources(wanted or question.content, by_user=wanted is None)
        return Research(self, question, sources, wanted=wanted, earlier=earlier)

    def check_off(self) -> None:
        """Refuse settings that leave out what there is not.

        Raises:
            ModelError: They do.
        """
        names = [*NAMES, *(source.name for source in self.plugins.sources)]
        for name in self.settings.off:
            if name not in names:
                raise ModelError(
                    "unknown_source",
                    f"[research] off leaves out {name!r}, and there is no such source.",
                    f"Correct it in the settings. There are: {', '.join(names)}.",
                )

    def sources(self, question: str, *, by_user: bool = True) -> list[Source]:
        """The sources that are looked through for a question.

        What a user names may be on this machine; what a model names may not.
        """
        settings, store = self.settings, self.store
        usual = type(settings)()
        limit = settings.results

        def named(key: str) -> bool:
            return bool(getattr(settings, key) != getattr(usual, key))

        every: list[Source] = [
            Wikipedia(settings.wikipedia_url, named=named("wikipedia_url"), limit=limit),
            HackerNews(settings.hacker_news_url, named=named("hacker_news_url"), limit=limit),
            Arxiv(settings.arxiv_url, named=named("arxiv_url"), limit=limit),
            StackExchange(
                settings.stack_exchange_url,
                settings.stack_exchange_site,
                named=named("stack_exchange_url"),
                limit=limit,
            ),
        ]
        if settings.feeds:
            every.append(Feeds(settings.feeds, limit=limit))
        if urls(question):
            every.append(Pages(named=by_user))
        if settings.folders:
            every.append(Files(settings.folders, limit=limit))
        every += [Conversations(store, limit=limit), Kept(store, limit=limit)]
        every += self.plugins.sources
        return [
            source
            for source in every
            if source.name not in settings.off and (source.local or not settings.offline)
        ]


class Research:
    """One run.

    Attributes:
        stage: What it does now.
        topics: What is searched for; None before that is known.
        sources: Each source, with its job.
        articles: As they were found; from the ranking on, the kept ones, best first.
        wanted: What is looked for: the question, or what a model made of it.
        shown: Those that the model was shown: [1] is the first.
        report: The analysis; None before it is done.
        embedder: What the texts were compared by; empty before that.
        trouble: What did not go as it should have although the run went on.
    """

    def __init__(
        self,
        desk: Desk,
        question: Message,
        sources: Sequence[Source],
        *,
        wanted: str | None = None,
        earlier: Sequence[Article] = (),
    ) -> None:
        self.question = question
        self.wanted = wanted or question.content
        self.stage = Stage.TOPICS
        self.topics: Topics | None = None
        self.sources = [SourceRun(source) for source in sources]
        self.articles: Sequence[Draft] = ()
        self.shown: Sequence[Article] = earlier
        self.report: Report | None = None
        self.embedder = ""
        self.trouble = ""
        self._kept: list[Article] = []
        self._unknown: tuple[int, ...] = ()
        self._began_at = time.time()
        self._desk = desk

    @property
    def session_id(self) -> str:
        """The session that asked."""
        return self.question.session_id

    @property
    def outcome(self) -> Outcome:
        """The run as it is now, in figures."""
        limit = self._desk.settings.source_seconds
        return Outcome(
            question=self.wanted,
            stage=self.stage,
            topics=self.topics,
            sources=tuple(run.outcome(limit) for run in self.sources),
            embedder=self.embedder,
            trouble=self.trouble,
            report=self.report,
            unknown_citations=self._unknown,
            began_at=self._began_at,
        )

    async def gather(self, backend: Backend, info: ModelInfo) -> None:
        """Find, rank, analyse and keep articles.

        Sources, workers and the analysis may fail; that is told in `outcome`. Cancelled, it leaves
        nothing behind.

        Raises:
            ModelError: A source to be left out is none: another would be asked in its place.
            StorageError: The articles could not be kept.
        """
        desk = self._desk
        try:
            self._enter(Stage.TOPICS)
            desk.check_off()
            before = await desk.store.messages.page(
                self.session_id,
                max(0, self.question.position - EARLIER_MESSAGES),
                self.question.position,
            )
            async with AsyncExitStack() as stack:
                workers = await stack.enter_async_context(
                    Workers.running(desk.make_workers, desk.settings.workers)
                )
                warming = asyncio.create_task(workers.warm(encoders.ready))
                stack.push_async_callback(_cancelled, warming)
                network = await stack.enter_async_context(
                    Network.open(desk.settings, desk.folder, resolve=desk.resolve)
                )
                self.topics = await find_topics(
                    self.wanted, before, backend, info, keep_alive=desk.keep_alive
                )
                self._enter(Stage.FETCH)
                await self._fetch(network, workers)
                self._enter(Stage.RANK)
                ranked = await self._in_a_job(
                    "rank the articles", lambda: self._rank(list(self.articles), workers)
                )
                await network.cache.prune()
            self.articles = ranked
            self._enter(Stage.ANALYSE)
            self.report = await self._in_a_job(
                "analyse the articles", lambda: analyse(ranked, script=desk.script)
            )
            self.articles = self._kept = await desk.store.articles.upsert(self.session_id, ranked)
            self._enter(Stage.ANSWER)
        except BaseException:
            self._enter(Stage.STOPPED)
            raise

    def added_to(self, material: Material) -> Material:
        """What the model is shown, with the best of the articles."""
        return with_articles(material, self._kept[: self._desk.settings.shown])

    def show(self, packed: Sequence[Excerpt]) -> None:
        """Note which of the articles the model is shown in the end."""
        self.shown = self._kept[: len(packed)]

    async def told(self, info: ModelInfo) -> str:
        """The articles as a tool's result: as many of the best as have room in the window."""
        if not self._kept:
            return self.nothing_found()
        known = {article.id for article in self.shown}
        window = info.window or info.context_length or DEFAULT_WINDOW
        for number in range(min(len(self._kept), self._desk.settings.shown), 0, -1):
            best = self._kept[:number]
            new = [article for article in best if article.id not in known]
            shown = [*self.shown, *new]
            numbers = {article.id: place for place, article in enumerate(shown, 1)}
            text = fetched(excerpts((numbers[article.id], article) for article in best))
            if await count(text) * SHARE_OF_WINDOW <= window:
                break
        self.shown = shown
        return f"{prompt('research')}\n\n{text}"

    def check(self, answer: str) -> None:
        """Note what an answer cites although there is no such article."""
        self._unknown = tuple(unknown(answer, len(self.shown)))

    async def ended(self, *, complete: bool) -> None:
        """Keep the outcome with the session; called once, whatever became of the answer."""
        self._enter(Stage.DONE if complete else Stage.STOPPED)
        try:
            await self._desk.store.sessions.set_state(
                self.session_id, STATE, msgspec.to_builtins(self.outcome)
            )
        except StorageError as error:  # the answer is kept, and the panel shows the run
            log.warning("the outcome of research is not kept: %s", type(error).__name__)

    def nothing_found(self) -> str:
        """The answer when there are no articles: what was tried, and what came of it."""
        lines = ["I found no article for this question, so there is nothing to answer it from."]
        for outcome in self.outcome.sources:
            told = outcome.reason or ("found nothing" if outcome.state is JobState.DONE else "")
            lines.append(f"- {outcome.name}: {told or outcome.state.value}")
        return "\n".join([lines[0], "", *lines[1:]])

    async def _fetch(self, network: Network, workers: Workers) -> None:
        """Let every source work in a job of its own, and wait for all."""
        assert self.topics is not None
        query = Query(
            question=self.wanted,
            topics=self.topics.topics,
            session_id=self.session_id,
            limit=self._desk.settings.results,
        )
        found: list[Draft] = []
        self.articles = found

        async def look(run: SourceRun, job: Job[None]) -> None:
            reach = Reach(fetcher=network.fetcher(), workers=workers, notes=run.notes)
            try:
                async with aclosing(run.source.find(query, reach)) as drafts:
                    async for draft in drafts:
                        if not (draft.title or draft.text):
                            continue
                        found.append(draft)
                        run.articles += 1
                        job.report(detail=f"{run.articles} found")
                        self._desk.events.emit(ArticleFound(research=self, article=draft))
            except (FetchError, StorageError):
                raise
            except Exception:  # a plugin's, most likely; whoever writes it wants to know where
                log.exception("the source %s failed", run.source.name)
                raise

        jobs = []
        for run in self.sources:
            run.job = self._desk.pool.submit(
                f"look through {run.source.name}",
                Lane.FETCH,
                partial(look, run),
                deadline=self._desk.settings.source_seconds,
            )
            jobs.append(run.job)
        self._tell()
        await _all_over(jobs, self._tell)

    async def _rank(self, drafts: list[Draft], workers: Workers) -> list[Draft]:
        """Rank by the best embedder that works; by the order of finding if none does."""
        desk = self._desk
        question = self.wanted
        try:
            embedder = await choose_embedder(desk.settings.embedder, desk.models, workers)
            self.embedder = embedder.name
            self._tell()
            return await rank(question, drafts, embedder, workers)
        except (ModelError, BrokenExecutor, TimeoutError, ExceptionGroup) as error:
            self.trouble = f"{self.embedder or 'The embedder'} failed ({type(error).__name__})."
            log.warning("ranking by %s failed: %s", self.embedder, type(error).__name__)
        try:
            words = WorkerEmbedder("words", workers)
            ranked = await rank(question, drafts, words, workers)
            self.embedder = words.name
            self.trouble += " Words were compared instead."
            return ranked
        except (BrokenExecutor, TimeoutError, ExceptionGroup) as error:
            log.warning("ranking by words failed: %s", type(error).__name__)
            self.embedder = ""
            self.trouble += " The articles are not ranked."
            return once_a_url(drafts)

    async def _in_a_job(self, name: str, work: Callable[[], Any]) -> Any:
        """Do something in the pool, where it is seen; cancelled together with this run."""
        job: Job[Any] = self._desk.pool.submit(name, Lane.PROCESS, lambda _: work())
        try:
            return await job.result()
        finally:
            job.cancel()
            await _wait_for([job])

    def _enter(self, stage: Stage) -> None:
        if self.stage is not Stage.STOPPED:
            self.stage = stage
        self._tell()

    def _tell(self) -> None:
        self._desk.events.emit(ResearchChanged(research=self))


async def _all_over(jobs: Sequence[Job[None]], tell: Callable[[], None]) -> None:
    """Wait until all jobs are over, telling whenever one is; if cancelled, cancel them."""
    waiting = {asyncio.ensure_future(job.ended()) for job in jobs}
    try:
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            tell()
    finally:
        for job in jobs:
            job.cancel()
        for task in waiting:
            task.cancel()
        await _wait_for(jobs)


async def _wait_for(jobs: Sequence[Job[Any]]) -> None:
    for job in jobs:
        await job.ended()


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
