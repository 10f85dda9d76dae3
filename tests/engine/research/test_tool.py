"""Research that a model asks for, in a turn that began as talk."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec

from engine.consent import APPROVED, Decision
from engine.context.tokens import count
from engine.events import ResearchChanged
from engine.research.outcome import STATE, Stage, outcome_of
from storage.records import Finish, Role
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import (
    QUESTION,
    TOPICS,
    able,
    holds,
    research_at,
    researching,
    wants,
)
from tests.engine.support import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine
    from storage.records import Message
    from tests.engine.research.server import Reply, Request


def results(messages: list[Message]) -> list[str]:
    return [message.content for message in messages if message.role is Role.TOOL]


async def test_a_model_that_asks_for_research_gets_articles_and_cites_them(tmp_path: Path) -> None:
    backend = able([wants(QUESTION)], [TOPICS], ["They do [1], and [9]."])
    async with (
        serving(formats.services) as server,
        researching(tmp_path, research_at(server.url), backend) as engine,
    ):
        watch = Watch(engine)
        asked = await engine.send(None, "What is special about jays?")
        await asked.wait()
        assert [call.name for call in asked.pending] == ["research"]
        assert not server.requests  # nothing goes out before a person agrees

        turn = await engine.confirm(asked.session_id, {"1": APPROVED})
        assert turn is not None
        answer = await turn.wait()
        assert answer.finish is Finish.COMPLETE

        [result] = results(await said(engine, asked.session_id))
        assert result.count("<articles>") == result.count("</articles>") == 1
        assert "[1] " in result
        assert "[6] " in result
        assert "[7] " not in result

        kept = await engine.library.articles(asked.session_id)
        assert {article.source for article in kept} >= {"wikipedia", "arxiv"}
        citations = await engine.library.citations(answer.id)
        assert list(citations) == [1, 2, 3, 4, 5, 6]
        assert f"[1] {citations[1].title}" in result
        assert f"1. [{citations[1].title}]" in answer.content
        assert "No source has the number \\[9\\]" in answer.content

        assert watch.of(ResearchChanged)[0].research is turn.research
        told = outcome_of((await engine.library.session(asked.session_id)).state[STATE])
        assert told is not None
        assert (told.question, told.stage) == (QUESTION, Stage.DONE)
        assert told.unknown_citations == (9,)


async def test_numbers_go_on_from_one_research_to_the_next(tmp_path: Path) -> None:
    async def first_jays_then_crows(request: Request, reply: Reply) -> None:
        if len(backend.scripts) > 2:
            await formats.services(request, reply)
        elif request.path == "/api/v1/search":
            hit = {"objectID": "9", "title": "What crows eat", "story_text": "Crows eat anything."}
            await reply.whole(msgspec.json.encode({"hits": [hit]}))
        else:
            await reply.whole("{}", status=404)

    backend = able(
        [wants(QUESTION)],
        [TOPICS],
        [wants("What do crows eat?", "2")],
        [TOPICS],
        ["Jays [1], crows [4]."],
    )
    async with serving(first_jays_then_crows) as server, AsyncExitStack() as stack:
        research = research_at(server.url, shown=3, off=("kept",), cache_minutes=0)
        engine = await stack.enter_async_context(researching(tmp_path, research, backend))
        asked = await engine.send(None, "Tell me of jays and crows.")
        await asked.wait()
        first = await engine.confirm(asked.session_id, {"1": APPROVED})
        assert first is not None
        await first.wait()
        assert [call.id for call in first.pending] == ["2"]
        second = await engine.confirm(asked.session_id, {"2": APPROVED})
        assert second is not None
        answer = await second.wait()

        _, result = results(await said(engine, asked.session_id))
        assert "[4] What crows eat" in result
        assert "\n[1] " not in result
        before = await engine.library.citations(first.answer.id)
        citations = await engine.library.citations(answer.id)
        assert list(citations) == [1, 2, 3, 4]
        assert [citations[n].id for n in before] == [before[n].id for n in before]
        assert "No source has" not in answer.content
        assert "\n4. [What crows eat](" in answer.content


async def test_what_is_denied_is_not_looked_up(tmp_path: Path) -> None:
    backend = able([wants(QUESTION)], ["Then I do not know [1]."])
    async with (
        serving(formats.services) as server,
        researching(tmp_path, research_at(server.url), backend) as engine,
    ):
        asked = await engine.send(None, "Tell me of jays.")
        await asked.wait()
        turn = await engine.confirm(asked.session_id, {"1": Decision(approve=False)})
        assert turn is not None
        answer = await turn.wait()
        assert answer.content == "Then I do not know [1]."
        assert turn.research is None
        assert not server.requests


async def test_a_page_of_this_machine_is_not_read_because_a_model_names_it(tmp_path: Path) -> None:
    async with serving(formats.services) as server:
        named = f"What does {server.url}/page/0 say?"
        backend = able([wants(named)], [TOPICS], ["Nothing."])
        research = research_at("http://127.0.0.1:1", attempts=1)
        async with researching(tmp_path, research, backend) as engine:
            asked = await engine.send(None, "Tell me of jays.")
            await asked.wait()
            turn = await engine.confirm(asked.session_id, {"1": APPROVED})
            assert turn is not None
            await turn.wait()
            assert turn.research is not None
            told = {source.name: source for source in turn.research.outcome.sources}
            assert "not on the internet" in told["pages"].reason
            [result] = results(await said(engine, asked.session_id))
            assert "I found no article" in result
            assert turn.answer.content == "Nothing."
        assert not server.requests


async def test_cancelling_the_turn_cancels_the_research(tmp_path: Path) -> None:
    async def hang(request: Request, reply: Reply) -> None:
        await asyncio.Event().wait()

    backend = able([wants(QUESTION)], [TOPICS])
    async with (
        serving(hang) as server,
        researching(tmp_path, research_at(server.url), backend) as engine,
    ):
        asked = await engine.send(None, "Tell me of jays.")
        await asked.wait()
        turn = await engine.confirm(asked.session_id, {"1": APPROVED})
        assert turn is not None
        await holds(lambda: server.open >= 4)
        await turn.stop()
        await holds(lambda: not server.open and not engine.pool.living(), 2)
        assert turn.research is not None
        assert turn.research.stage is Stage.STOPPED
        assert not await engine.library.articles(asked.session_id)


async def test_articles_take_no_more_than_their_share_of_a_small_window(tmp_path: Path) -> None:
    backend = able([wants(QUESTION)], [TOPICS], ["So [1]."])
    backend.info = msgspec.structs.replace(backend.info, window=2600)
    async with (
        serving(formats.services) as server,
        researching(tmp_path, research_at(server.url), backend) as engine,
    ):
        asked = await engine.send(None, "Tell me of jays.")
        await asked.wait()
        turn = await engine.confirm(asked.session_id, {"1": APPROVED})
        assert turn is not None
        answer = await turn.wait()
        [result] = results(await said(engine, asked.session_id))
        assert 1 <= len(await engine.library.citations(answer.id)) < 6
        assert await count(result.partition("<articles>")[2]) <= 2600 // 4
        assert len(await engine.library.articles(asked.session_id)) > 6


async def said(engine: Engine, session_id: str) -> list[Message]:
    session = await engine.library.session(session_id)
    return list(await engine.library.page(session_id, 0, session.message_count))
