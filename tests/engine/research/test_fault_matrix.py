"""Every source fails in its own way, and the turn still ends soon, with a cited answer."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import TYPE_CHECKING

from engine.pool import JobState
from storage.records import Finish
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import research_at, researching
from tests.scripted import ScriptedBackend

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.research.server import Reply, Request

BOMB = gzip.compress(b"\0" * 50_000_000, 9)


async def faults(request: Request, reply: Reply) -> None:
    match request.path.split("/")[1:]:
        case ["w", "api.php"]:
            await reply.whole("", status=500)
        case ["api", "v1", "search"]:
            await asyncio.Event().wait()
        case ["api", "query"]:
            await reply.whole("<feed><entry>", kind="application/atom+xml")
        case ["2.3", *_]:
            await reply.whole(BOMB, Content_Encoding="gzip")
        case ["feeds", "endless"]:
            await reply.head(Content_Type="application/rss+xml")
            while True:
                await reply.raw(b"<item>" * 10_000)
        case ["feeds", "drip"]:
            await reply.head(Content_Type="application/rss+xml")
            while True:
                await reply.raw(b"<")
                await asyncio.sleep(0.3)
        case ["feeds", "loop"]:
            await reply.redirect("/feeds/loop")
        case ["feeds", "inside"]:
            await reply.redirect("http://169.254.169.254/latest/meta-data/")
        case ["feeds", "good"]:
            evil = formats.RSS.replace("Jays &amp; acorns", "Jays &#155;31m[bold]&amp; acorns[/]")
            await reply.whole(evil, kind="application/rss+xml")
        case _:
            await reply.whole("nothing", status=404)


async def test_every_fault_has_its_reason_and_none_holds_up_the_others(tmp_path: Path) -> None:
    async with serving(faults) as server:
        feeds = tuple(
            f"{server.url}/feeds/{name}" for name in ("endless", "drip", "loop", "inside", "good")
        )
        research = research_at(server.url, feeds=feeds)
        backend = ScriptedBackend(["They remember [1]."])
        async with researching(tmp_path, research, backend) as engine:
            began = time.monotonic()
            question = f"Do scrub jays remember, as {server.url}/gone says?"
            turn = await engine.research(None, question)
            answer = await turn.wait()
            assert time.monotonic() - began < research.source_seconds + 6

            assert answer.finish is Finish.COMPLETE
            assert turn.research is not None
            told = {source.name: source for source in turn.research.outcome.sources}
            here = server.url.removeprefix("http://")
            reasons = {name: one.reason for name, one in told.items() if one.reason}
            assert reasons == {
                "wikipedia": "answered 500 2 times",
                "hacker news": "was silent for 1 s",
                "arxiv": "sent XML that can't be read",
                "stack exchange": "sent more than 1 MB",
                "pages": f"{here}/gone answered 404 Whatever",
            }
            assert all(told[name].state is JobState.FAILED for name in reasons)
            assert told["feeds"].state is JobState.DONE
            assert sorted(told["feeds"].notes) == [
                f"{here}/feeds/drip was not done within 2 s",
                f"{here}/feeds/endless sent more than 1 MB",
                f"{here}/feeds/inside 169.254.169.254 is not on the internet (169.254.169.254)",
                f"{here}/feeds/loop redirected more than 5 times",
            ]
            [article] = await engine.library.articles(turn.session_id)
            assert article.title == "Jays 31m[bold]& acorns[/]"
            assert "\x9b" not in answer.content
            assert "1. [Jays 31m\\[bold\\]& acorns\\[/\\]]" in answer.content
        assert not server.open
