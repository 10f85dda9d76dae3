"""The Research tab: each source as it works, the articles as they are ranked, their analysis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content

from engine.events import ArticleFound, ResearchChanged
from engine.pool import JobState
from storage.errors import StorageError
from tui.figures import duration
from tui.latest import run_latest
from tui.telling import tell_error
from tui.widgets.days import Days
from tui.widgets.figures import heading, note, wrapped
from tui.widgets.panel import Panel
from tui.widgets.research_charts import charts
from tui.widgets.rows import MUTED, Row, fit, one_line, text_row
from tui.widgets.workers_panel import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.timer import Timer

    from engine.context.budget import Packed
    from engine.engine import Engine
    from engine.events import Event
    from engine.research.outcome import Outcome, SourceOutcome
    from engine.research.pipeline import Research
    from storage.articles import Draft
    from tui.widgets.rows import RowView

STAGES = {
    "topics": "choosing topics",
    "fetch": "fetching",
    "rank": "ranking",
    "analyse": "analysing",
    "answer": "answering",
    "done": "done",
    "stopped": "stopped",
}
MOST_ARTICLES = 30


class ResearchPanel(Panel):
    """The last research of a session. Enter reads an article, `o` opens it in the browser."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Read article"),
        Binding("o", "browse", "Open in browser"),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, id="research")
        self._live: Research | None = None
        self._outcome: Outcome | None = None
        self._articles: Sequence[Draft] = ()
        self._ticking: Timer | None = None

    def build(self, width: int) -> Iterator[Row]:
        """The question and how far it is, the sources, the articles, the charts."""
        outcome = self._live.outcome if self._live else self._outcome
        articles = self._live.articles if self._live else self._articles
        self._tick(running=outcome is not None and outcome.stage not in ("done", "stopped"))
        yield heading("Research", STAGES[outcome.stage] if outcome else "", first=True)
        if outcome is None:
            yield note(
                "/research with a question looks everywhere at once. It is seen here.", width
            )
            return
        yield from _asked(outcome, width)
        yield heading("Sources")
        for source in outcome.sources:
            yield source_row(source, width)
        yield heading("Articles", f"{len(articles)}" if articles else "none")
        for number, article in enumerate(articles[:MOST_ARTICLES], 1):
            yield article_row(number, article, width)
        if len(articles) > MOST_ARTICLES:
            yield note(f"{len(articles) - MOST_ARTICLES} more.", width)
        if outcome.report is not None:
            yield from charts(outcome.report, width)

    def show_session(self, session_id: str | None, packed: Packed | None) -> None:
        """Show the research of another session."""
        if session_id != self.session_id:
            self._live, self._outcome, self._articles = None, None, ()
        super().show_session(session_id, packed)
        self._find()

    def take(self, event: Event) -> None:
        """Follow the research of this session."""
        if (
            isinstance(event, (ResearchChanged, ArticleFound))
            and event.research.session_id == self.session_id
        ):
            self._live = event.research
            self.touch()

    def appeared(self) -> None:
        """Catch up with what happened unseen."""
        self._find()

    def vanished(self) -> None:
        """Let the clock stand still."""
        self._tick(running=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done with the row under the cursor."""
        if action == "browse":
            article = self._article(self.cursor)
            return article is not None and article.url.startswith(("http://", "https://"))
        if action == "choose":
            return self._article(self.cursor) is not None
        return super().check_action(action, parameters)

    def action_browse(self) -> None:
        """Open the article under the cursor in the browser."""
        if (article := self._article(self.cursor)) is not None:
            self.app.open_url(article.url)

    def on_row_view_chosen(self, message: RowView.Chosen) -> None:
        """Read an article here."""
        from tui.screens.article import ArticleScreen

        if (article := self._article(message.key)) is not None:
            message.stop()
            self.app.push_screen(ArticleScreen(article))

    def watch_cursor(self, before: str | None, now: str | None) -> None:
        """The footer offers what the article allows."""
        super().watch_cursor(before, now)
        self.refresh_bindings()

    def _find(self) -> None:
        """Show the run that goes on, or else the last one that was kept."""
        if self.session_id is None or not self.seen:
            return
        turn = self.engine.turn(self.session_id)
        if turn is not None and turn.research is not None:
            self._live = turn.research
            self.touch()
        elif self._live is None:
            run_latest(self, partial(self._read, self.session_id), "research")

    async def _read(self, session_id: str) -> None:
        from engine.research.outcome import STATE, outcome_of

        try:
            session = await self.engine.library.session(session_id)
            articles = await self.engine.library.articles(session_id)
        except StorageError as error:
            tell_error(self, error)
            return
        if session_id == self.session_id:
            self._outcome = outcome_of(session.state.get(STATE))
            self._articles = articles
            self.touch()

    def _article(self, key: str | None) -> Draft | None:
        articles = self._live.articles if self._live else self._articles
        return next((article for article in articles if article.url == key), None)

    def _tick(self, *, running: bool) -> None:
        """Durations grow, while anything runs and anybody looks."""
        if running and self._ticking is None:
            self._ticking = self.set_interval(1.0, self.rebuild)
        elif not running and self._ticking is not None:
            self._ticking.stop()
            self._ticking = None


def source_row(source: SourceOutcome, width: int) -> Row:
    """A source: how it is, what it found and how long it took; below, what went wrong."""
    sign, style = SIGNS[source.state]
    waits = source.state is JobState.QUEUED
    found = "" if waits else f"{source.articles} · {duration(source.seconds)}"
    over = source.state.over
    lines = [
        Content.assemble(
            " ",
            (sign, style),
            " ",
            (fit(source.name, width - 5 - cell_len(found)), MUTED if waits else ""),
            (f" {found}", MUTED if over else "$text-accent"),
        )
    ]
    texts = [(source.reason, "$text-error")] if source.reason else []
    texts += [(text, MUTED) for text in source.notes[:2] if text != source.reason]
    lines += [
        Content.styled(f"   {line}", style)
        for text, style in texts
        for line in wrapped(one_line(text), width - 4)
    ]
    return text_row(*lines)


def article_row(number: int, article: Draft, width: int) -> Row:
    """An article: its number and relevance, its title; below, where it is from and when."""
    score = "" if article.relevance is None else f"{article.relevance:.0%}"
    label = f"{number:>2} "
    title = one_line(article.title) or one_line(article.url)
    days = Days()
    about = " · ".join(
        filter(
            None,
            [
                article.source,
                "" if article.published_at is None else days.short(article.published_at),
                one_line(article.author),
            ],
        )
    )
    return text_row(
        Content.assemble(
            " ",
            (label, MUTED),
            fit(title, width - 3 - len(label) - len(score)),
            (f" {score}", "$text-accent"),
        ),
        Content.styled(fit(f" {' ' * len(label)}{about}", width - 1), MUTED),
        key=article.url,
    )


def _asked(outcome: Outcome, width: int) -> Iterator[Row]:
    question = wrapped(one_line(outcome.question), width - 2)
    yield text_row(*(f" {line}" for line in question[:3]))
    if outcome.topics is not None:
        topics = " · ".join(map(one_line, outcome.topics.topics))
        by = "the model's topics" if outcome.topics.by == "model" else "keywords"
        why = f" ({one_line(outcome.topics.why)})" if outcome.topics.why else ""
        yield note(f"{by}{why}: {topics}", width)
    if outcome.embedder:
        yield note(f"compared by {one_line(outcome.embedder)}", width)
    wrong = ", ".join(f"[{number}]" for number in outcome.unknown_citations)
    for trouble in (
        outcome.trouble,
        f"The answer cites {wrong}, which no article has." if wrong else "",
    ):
        if trouble:
            yield text_row(
                *(
                    Content.styled(f" {line}", "$text-warning")
                    for line in wrapped(one_line(trouble), width - 2)
                )
            )
