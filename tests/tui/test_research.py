"""`/research` on the screen: looked up, answered with citations, and seen in the inspector."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.config import MemorySettings, ModelSettings, ResearchSettings, Settings, UISettings
from engine.engine import Engine
from engine.events import AnswerDelta
from engine.research import pipeline
from engine.research.topics import find_topics
from storage.records import Finish
from tests.embedded_weights import models_folder, paths_under
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import QUESTION, TOPICS, able, research_at, threads, wants
from tests.engine.support import Watch
from tests.scripted import ScriptedBackend
from tests.tui.chatting import Chat, chatting, settings
from tests.tui.test_consent import asked
from tui.app import ScrubjayApp
from tui.screens.article import ArticleScreen
from tui.widgets.research_panel import ResearchPanel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.research.server import Reply, Request


@pytest.fixture(scope="module")
def models_dir() -> Path:
    """The real weights, found before a test changes the home that they are cached in."""
    return models_folder()


def local_only(folder: Path) -> Any:
    """Settings under which research reads this folder and asks nobody outside."""
    research = ResearchSettings(offline=True, folders=(str(folder),), embedder="words", workers=1)
    return msgspec.structs.replace(settings(), research=research)


async def test_a_question_is_looked_up_in_local_files_and_the_answer_cites_them(
    tmp_path: Path,
) -> None:
    files = tmp_path / "notes"
    files.mkdir()
    (files / "jays.md").write_text("# Jays\n\nA jay hides thousands of acorns every autumn.\n")
    backend = ScriptedBackend(["A jay hides thousands of acorns [1]."])
    async with chatting(tmp_path, backend, size=(160, 45), chosen=local_only(files)) as chat:
        await chat.ready()
        await chat.say("/research How many acorns does a jay hide?")
        await chat.until_shown("thousands of acorns [1]")
        await chat.until(lambda: chat.session_id and not chat.engine.turn(chat.session_id))
        assert chat.session_id is not None
        article = (await chat.engine.library.articles(chat.session_id))[0]
        assert article.source == "files"
        await chat.pilot.press("ctrl+o", "3")
        await chat.until_shown("Articles")
        await chat.until_shown("files")


async def test_research_without_a_question_asks_for_one(tmp_path: Path) -> None:
    async with chatting(tmp_path, ScriptedBackend()) as chat:
        await chat.ready()
        await chat.say("/research")
        await chat.until(lambda: chat.composer.text == "/research ")
        assert chat.session_id is None


async def test_the_embedded_model_answers_from_sources_that_are_seen_at_work(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, answer_arxiv = asyncio.Event(), asyncio.Event()

    async def held(*args: Any, **options: Any) -> Any:
        await begin.wait()
        return await find_topics(*args, **options)

    async def services(request: Request, reply: Reply) -> None:
        if request.path == "/api/query":
            await answer_arxiv.wait()
        await formats.services(request, reply)

    monkeypatch.setattr(pipeline, "find_topics", held)
    async with serving(services) as server:
        waits = {"read_seconds": 30.0, "request_seconds": 30.0, "source_seconds": 30.0}
        chosen = Settings(
            model=ModelSettings(default="embedded:smollm2-135m", max_tokens=24, temperature=0.0),
            memory=MemorySettings(recall=False),
            research=research_at(server.url, embedder="embedded", shown=2, results=3, **waits),
            ui=UISettings(inspector=True),
        )
        engine = await Engine.open(chosen, paths_under(tmp_path, models_dir=models_dir))
        try:
            watch = Watch(engine)
            app = ScrubjayApp(engine)
            async with app.run_test(size=(180, 78), notifications=True) as pilot:
                chat = Chat(app, pilot, engine)
                await chat.ready()
                await pilot.press("ctrl+o", "3")
                await chat.until(lambda: app.screen.query(ResearchPanel))
                await pilot.press("escape")
                await chat.until(lambda: chat.composer.has_focus)
                await chat.say(f"/research {QUESTION}")
                await chat.until_shown("choosing topics")
                await chat.until_shown("○ arxiv")
                begin.set()
                await chat.until_shown("● arxiv")
                await chat.until_shown("research: fetching · 5 of 6 sources…")
                await chat.until_shown("✓ wikipedia")
                answer_arxiv.set()
                await chat.until_shown("✓ arxiv")
                await chat.until_shown("compared by embedded")
                for heading in ("Articles by source", "Relevance", "Keywords", "Published"):
                    await chat.until_shown(heading)
                await chat.until(lambda: chat.session_id and not engine.turn(chat.session_id), 60)
                await chat.until_shown("Sources")

                _, answer = await chat.messages()
                assert answer.finish is Finish.COMPLETE
                assert answer.model == "embedded:smollm2-135m"
                kept = await engine.library.articles(answer.session_id)
                assert {article.source for article in kept} == {
                    "wikipedia",
                    "hacker news",
                    "arxiv",
                    "stack exchange",
                }
                citations = await engine.library.citations(answer.id)
                last = f"\n{len(citations)}. [{citations[len(citations)].title}]"
                assert last in answer.content
                assert len(watch.of(AnswerDelta)) > 5  # it streamed
                await chat.until_shown("done")
        finally:
            await engine.close()


async def test_a_page_with_a_hostile_title_is_shown_as_harmless_text(tmp_path: Path) -> None:
    async def hostile(request: Request, reply: Reply) -> None:
        page = formats.page("TITLE", 0).replace(
            "TITLE",
            "\x1b]0;owned\x07\x1b[31m&#27;[2J&#155;[bold red]Jay[/] \u202e[@click=app.quit]x",
        )
        await reply.whole(page, kind="text/html; charset=utf-8")

    backend = ScriptedBackend(["They hide acorns [1]."])
    async with serving(hostile) as server:
        off = ("wikipedia", "hacker news", "arxiv", "stack exchange")
        chosen = msgspec.structs.replace(settings(), research=research_at(server.url, off=off))
        async with chatting(tmp_path, backend, size=(180, 50), chosen=chosen) as chat:
            (await chat.engine.research_desk()).make_workers = threads
            await chat.ready()
            await chat.say(f"/research What does {server.url}/page say of jays?")
            await chat.until_shown("acorns [1]")
            await chat.until_shown("Sources")
            await chat.pilot.press("ctrl+o", "3")
            await chat.until_shown("compared by words")
            await chat.until(lambda: chat.text.count("[bold red]Jay[/") == 2)  # panel and sources
            screens = [chat.text]
            await chat.pilot.press("enter")
            await chat.until(lambda: isinstance(chat.app.screen, ArticleScreen))
            await chat.until_shown("[bold red]Jay[/]")
            screens.append(chat.text)
            for shown in screens:
                assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


async def test_research_that_a_model_asks_for_is_allowed_seen_and_cited(tmp_path: Path) -> None:
    answer_arxiv = asyncio.Event()

    async def services(request: Request, reply: Reply) -> None:
        if request.path == "/api/query":
            await answer_arxiv.wait()
        await formats.services(request, reply)

    backend = able([wants(QUESTION)], [TOPICS], ["They do remember [1]."])
    async with serving(services) as server:
        waits = {"read_seconds": 30.0, "request_seconds": 30.0, "source_seconds": 30.0}
        chosen = msgspec.structs.replace(settings(), research=research_at(server.url, **waits))
        async with chatting(tmp_path, backend, size=(180, 60), chosen=chosen) as chat:
            (await chat.engine.research_desk()).make_workers = threads
            await chat.ready()
            await chat.say("What is special about jays?")
            await asked(chat)
            assert QUESTION in chat.text
            assert not server.requests
            await chat.pilot.press("y")
            await chat.until(lambda: chat.app.screen is chat.screen)
            await chat.pilot.press("ctrl+o", "3")
            await chat.until_shown("the model's topics: scrub jay memory")
            await chat.until_shown("● arxiv")
            answer_arxiv.set()
            await chat.until_shown("They do remember [1].")
            await chat.until_shown("Sources")
            await chat.until_shown("Articles by source")
            row = next(y for y, line in enumerate(chat.text.split("\n")) if "remember [1]" in line)
            column = chat.text.split("\n")[row].index("[1]") + 1
            await chat.pilot.click(offset=(column, row))
            await chat.until(lambda: isinstance(chat.app.screen, ArticleScreen))
