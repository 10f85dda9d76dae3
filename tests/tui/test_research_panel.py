"""The Research tab: a run as it goes on, and as it was kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.pool import JobState
from engine.research.analysis import Keyword, OfSource, Period, Report
from engine.research.outcome import SourceOutcome
from storage.articles import Draft
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import QUESTION, research_at, researching
from tests.scripted import ScriptedBackend
from tests.tui.panes import lines, shown, until
from tui.figures import bar
from tui.screens.article import ArticleScreen
from tui.widgets.research_charts import charts
from tui.widgets.research_panel import ResearchPanel, article_row, source_row

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

    from tests.engine.research.server import Reply, Request
    from tui.widgets.rows import Row

REPORT = Report(
    count=12,
    mean=0.4,
    deviation=0.125,
    sources=(
        OfSource(source="wikipedia", count=8, mean=0.5),
        OfSource(source="hacker news", count=4, mean=0.2),
    ),
    histogram=(0, 1, 0, 2, 4, 3, 2, 0, 0, 0),
    keywords=(Keyword(term="scrub jay", count=9), Keyword(term="episodic memory", count=4)),
    timeline=(Period(period="2024", count=2), Period(period="2025", count=10)),
    words=2_300,
    reading_minutes=10.0,
)


def text(rows: list[Row], width: int) -> list[str]:
    return [line.plain.rstrip() for row in rows for line in row.paint(width)]


async def see(pilot: Pilot[None], panel: ResearchPanel, *pieces: str) -> None:
    await until(pilot, lambda: all(piece in "\n".join(lines(panel)) for piece in pieces))


async def test_a_run_is_seen_from_its_first_source_to_its_charts(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def held(request: Request, reply: Reply) -> None:
        if request.path == "/api/query":
            await release.wait()
        await formats.services(request, reply)

    async with (
        serving(held) as server,
        researching(
            tmp_path,
            research_at(server.url, read_seconds=30.0, request_seconds=30.0, source_seconds=30.0),
            ScriptedBackend(["So [1], [8]."]),
        ) as engine,
        shown(ResearchPanel(engine), width=60, height=90) as (panel, pilot),
    ):
        engine.events.subscribe(panel.take)  # as the inspector does
        await see(pilot, panel, "/research with a question")
        session = await engine.library.create()
        panel.show_session(session.id, None)
        turn = await engine.research(session.id, QUESTION)
        await see(pilot, panel, "fetching", "● arxiv", "✓ wikipedia", "Scrub jay 2")
        assert QUESTION in "\n".join(lines(panel))
        assert "keywords (parrot is too small to plan)" in "\n".join(lines(panel))
        release.set()
        await turn.wait()
        await see(pilot, panel, "done", "✓ arxiv", "compared by words", "Articles by source")
        await see(pilot, panel, "Relevance", "Keywords", "Published", "scrub jays")
        await see(pilot, panel, "The answer cites [8], which no article has.")


async def test_the_last_run_is_there_after_a_restart(tmp_path: Path) -> None:
    async with serving(formats.services) as server:
        research = research_at(server.url)
        async with researching(tmp_path, research, ScriptedBackend(["So [1]."])) as engine:
            turn = await engine.research(None, QUESTION)
            await turn.wait()
    async with (
        researching(tmp_path, research) as engine,
        shown(ResearchPanel(engine), width=60, height=90) as (panel, pilot),
    ):
        panel.show_session(turn.session_id, None)
        await see(pilot, panel, QUESTION, "✓ wikipedia", "Scrub jay 1", "Articles by source")


async def test_an_article_is_read_by_enter_and_opened_by_o(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    async with serving(formats.services) as server:
        research = research_at(server.url, off=("hacker news", "arxiv", "stack exchange"))
        async with (
            researching(tmp_path, research, ScriptedBackend(["So [1]."])) as engine,
            shown(ResearchPanel(engine), width=60, height=60) as (panel, pilot),
        ):
            monkeypatch.setattr(pilot.app, "open_url", opened.append)
            turn = await engine.research(None, QUESTION)
            await turn.wait()
            panel.show_session(turn.session_id, None)
            await see(pilot, panel, "Scrub jay")
            panel.focus()
            first = (await engine.library.articles(turn.session_id))[0]
            await until(pilot, lambda: panel.cursor == first.url)
            await pilot.press("o")
            assert opened == [first.url]
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, ArticleScreen))
            await pilot.press("o")
            assert opened == [first.url] * 2
            await pilot.press("escape")
            assert not isinstance(pilot.app.screen, ArticleScreen)


@pytest.mark.parametrize("width", [34, 44, 80])
def test_every_row_fits_its_width(width: int) -> None:
    source = SourceOutcome(
        name="stack exchange", state=JobState.FAILED, reason="日本語 " * 30, notes=("x" * 90,)
    )
    article = Draft(
        url="https://x.example", source="arxiv", title="長" * 90, text="", author="A" * 90
    )
    for row in (source_row(source, width), article_row(7, article, width), *charts(REPORT, width)):
        painted = row.paint(width)
        assert len(painted) == row.height
        assert all(line.cell_length <= width for line in painted)


def test_charts_show_the_figures() -> None:
    drawn = text(list(charts(REPORT, 60)), 60)
    assert any("articles" in line and line.endswith("12") for line in drawn)
    assert any("40% ± 12%" in line for line in drawn)
    wikipedia = next(line for line in drawn if "wikipedia" in line)
    hacker_news = next(line for line in drawn if "hacker news" in line)
    assert wikipedia.count("█") == 2 * hacker_news.count("█")
    assert wikipedia.endswith("8 · 50%")
    assert any("scrub jay 9   episodic memory 4" in line for line in drawn)
    assert any("2025" in line and line.endswith("10") for line in drawn)


def test_a_failed_analysis_says_so() -> None:
    drawn = text(list(charts(Report(failure="It crashed."), 60)), 60)
    assert drawn[-1] == " It crashed."


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.001, "▏"), (0.5, "██"), (1, "████"), (9, "████")]
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_hostile_text_reaches_no_line() -> None:
    evil = "\x1b[31m[bold red]x[/]\x9b2J\u202e"
    article = Draft(url="https://x.example", source="arxiv", title=evil, text="", author=evil)
    source = SourceOutcome(name="arxiv", state=JobState.FAILED, reason=evil)
    for row in (article_row(1, article, 60), source_row(source, 60)):
        for line in row.paint(60):
            assert not {"\x1b", "\x9b", "\u202e"} & set(line.plain)
    assert "[bold red]x[/]" in text([article_row(1, article, 60)], 60)[0]
