"""Each source, against a server that speaks the real format."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.research.errors import FetchError
from engine.research.sources.arxiv import Arxiv
from engine.research.sources.base import Query, Reach
from engine.research.sources.conversations import Conversations, Kept
from engine.research.sources.feeds import Feeds
from engine.research.sources.files import Files
from engine.research.sources.hacker_news import HackerNews
from engine.research.sources.pages import Pages
from engine.research.sources.stack_exchange import StackExchange
from engine.research.sources.wikipedia import Wikipedia
from engine.workers import Workers, processes
from storage.articles import Draft
from storage.records import Role
from storage.store import Store
from tests.engine.research import formats
from tests.engine.research.server import serving
from tests.engine.research.support import QUESTION, QUICK, fetching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.config import ResearchSettings
    from engine.research.sources.base import Source
    from tests.engine.research.server import Reply, Request

QUERY = Query(question=QUESTION, topics=("scrub jays remember food",), session_id="here", limit=5)


@asynccontextmanager
async def reaching(folder: Path, settings: ResearchSettings = QUICK) -> AsyncIterator[Reach]:
    async with (
        fetching(folder, settings) as fetcher,
        Workers.running(partial(processes, 1), 1) as workers,
    ):
        yield Reach(fetcher=fetcher, workers=workers, notes=[])


async def found(source: Source, reach: Reach, query: Query = QUERY) -> list[Draft]:
    return [draft async for draft in source.find(query, reach)]


async def test_wikipedia_is_searched_and_its_summaries_read(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        drafts = await found(Wikipedia(server.url, named=True, limit=3), reach)

        assert sorted(draft.title for draft in drafts) == [
            "Scrub jay 0",
            "Scrub jay 1",
            "Scrub jay 2",
        ]
        jay = next(draft for draft in drafts if draft.title == "Scrub jay 1")
        assert jay.url == "https://en.wikipedia.org/wiki/Scrub_jay_1"
        assert "corvid of western North America" in jay.text
        assert "The scrub jay eats &" in jay.text  # the search's snippet, without its markup
        assert jay.published_at == 1_614_834_367  # 2021-03-04T05:06:07Z
        search = server.requests[0]
        assert search.query["srsearch"] == "scrub jays remember food"
        assert "Scrubjay" in search.headers["user-agent"]


async def test_hacker_news_stories_come_with_their_own_text(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        [story] = await found(HackerNews(server.url, named=True, limit=5), reach)
        assert story.url == "https://news.ycombinator.com/item?id=4999"
        assert story.title == "Ask HN: Do jays remember?"
        assert story.text.endswith("What do you think?")
        assert "<p>" not in story.text
        assert (story.author, story.published_at) == ("asker", 1_600_000_000.0)


async def test_a_story_that_leads_to_this_machine_keeps_its_title_alone(tmp_path: Path) -> None:
    async def answer(request: Request, reply: Reply) -> None:
        if request.path == "/api/v1/search":
            await reply.whole(formats.hacker_news([f"{server.url}/page"]))
        else:
            await reply.whole(formats.page("Secret", 0), kind="text/html")

    async with serving(answer) as server, reaching(tmp_path) as reach:
        drafts = await found(HackerNews(server.url, named=True, limit=5), reach)
        story = next(draft for draft in drafts if draft.title.endswith("part 0"))
        assert story.text == ""
        assert reach.notes == ["a linked page 127.0.0.1 is not on the internet (127.0.0.1)"]
        assert [request.path for request in server.requests] == ["/api/v1/search"]


async def test_a_storys_page_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    async def answer(request: Request, reply: Reply) -> None:
        if request.path == "/api/v1/search":
            await reply.whole(formats.hacker_news([f"{server.url}/page"]))
        else:
            await reply.whole(formats.page("The page", 0), kind="text/html")

    settings = msgspec.structs.replace(QUICK, allow_private=True, request_seconds=10.0)
    async with serving(answer) as server, reaching(tmp_path, settings) as reach:
        drafts = await found(HackerNews(server.url, named=True, limit=5), reach)
        story = next(draft for draft in drafts if draft.title.endswith("part 0"))
        assert formats.SENTENCES[0] in story.text


async def test_arxiv_abstracts_are_read(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        drafts = await found(Arxiv(server.url, named=True, limit=5), reach)
        assert len(drafts) == 5
        assert drafts[2].url == "http://arxiv.org/abs/2201.00002v1"
        assert drafts[2].title == "Food caching in corvids & memory, part 2"
        assert drafts[2].text == formats.prose(4, 6)
        assert drafts[2].author == "Nicola C."
        assert drafts[2].published_at == 1_641_006_245  # 2022-01-01T03:04:05Z
        assert server.requests[0].query["search_query"] == (
            'all:"scrub" AND all:"jays" AND all:"remember" AND all:"food"'
        )


async def test_questions_come_with_their_answers(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        source = StackExchange(server.url, "stackoverflow", named=True, limit=5)
        drafts = await found(source, reach)
        assert drafts[0].title == "How do I model a jay's memory? (0)"
        assert drafts[0].author == "O'Jay"
        assert "1 < 2" in drafts[0].text
        assert "Answer: Cache 9000: an R-tree over places" in drafts[0].text
        assert server.requests[1].path.startswith("/2.3/questions/9000")


async def test_feed_entries_that_share_words_are_found(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        [entry] = await found(Feeds([f"{server.url}/feed"], limit=5), reach)
        assert (entry.title, entry.url) == ("Jays & acorns", "https://birds.example/jays")
        assert entry.text == "Scrub jays cache acorns. They remember where."
        assert (entry.author, entry.published_at) == ("Ann", 1_749_528_000.0)


async def test_one_feed_that_fails_is_noted_while_the_others_are_read(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        feeds = Feeds([f"{server.url}/gone?key=secret", f"{server.url}/feed"], limit=5)
        assert len(await found(feeds, reach)) == 1
        [note] = reach.notes
        assert note == f"{server.url.removeprefix('http://')}/gone answered 404 Whatever"


async def test_feeds_that_all_fail_are_a_failure(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        with pytest.raises(FetchError, match="404"):
            await found(Feeds([f"{server.url}/gone"], limit=5), reach)


async def test_a_page_that_the_question_names_is_read_without_its_menu(tmp_path: Path) -> None:
    async with serving(formats.services) as server, reaching(tmp_path) as reach:
        question = f"What does {server.url}/page say?"
        query = Query(question=question, topics=("jays",), session_id="here", limit=5)
        [page] = await found(Pages(named=True), reach, query)
        assert page.url == f"{server.url}/page"
        assert page.title == "The memory of jays"
        assert formats.SENTENCES[1] in page.text
        assert "Section 1" not in page.text
        assert "cookies" not in page.text


async def test_files_are_found_by_their_words(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "jays.md").write_text(f"# My jays\n\n{formats.prose(0, 5)}")
    (notes / "deep" / "more.txt").write_text("Scrub jays, seen in the garden.")
    (notes / "tax.md").write_text("Nothing of interest.")
    (notes / ".hidden.md").write_text("Scrub jays remember food.")
    (notes / "image.png").write_bytes(b"\x89PNG scrub jays")
    (notes / "jays.pdf").write_bytes(pdf("Scrub jays remember the food that they cached."))
    async with reaching(tmp_path) as reach:
        drafts = await found(Files([str(notes)], limit=5), reach)
        assert {draft.title: draft.url for draft in drafts} == {
            "My jays": (notes / "jays.md").as_uri(),
            "more.txt": (notes / "deep" / "more.txt").as_uri(),
            "jays.pdf": (notes / "jays.pdf").as_uri(),
        }
        assert drafts[2].text == "Scrub jays remember the food that they cached."


async def test_files_that_cannot_be_read_keep_nobody_from_the_others(tmp_path: Path) -> None:
    (tmp_path / "circle.md").symlink_to("circle.md")
    (tmp_path / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.md")  # opening it would wait for somebody who writes
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "jays.txt").write_bytes("Scrub jays remember.".encode("utf-16"))
    folders = [str(tmp_path / "gone"), str(tmp_path / "circle.md"), str(tmp_path)]
    async with reaching(tmp_path) as reach:
        [draft] = await found(Files(folders, limit=5), reach)
        assert draft.text == "Scrub jays remember."
        assert reach.notes == [f"{folder} is not there" for folder in folders[:2]]


async def test_a_broken_pdf_is_noted(tmp_path: Path) -> None:
    (tmp_path / "jays.pdf").write_bytes(b"%PDF-1.7 and then nothing of the kind")
    (tmp_path / "jays.txt").write_text("Scrub jays remember.")
    async with reaching(tmp_path) as reach:
        with pytest.raises(FetchError, match=r"jays\.pdf is a PDF without readable text"):
            await found(Files([str(tmp_path)], limit=5), reach)


async def test_a_folder_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    async with reaching(tmp_path) as reach:
        with pytest.raises(FetchError, match="is not there"):
            await found(Files([str(tmp_path / "gone")], limit=5), reach)


async def test_other_conversations_are_looked_through(tmp_path: Path) -> None:
    async with (
        await Store.open(tmp_path / "scrubjay.db") as store,
        reaching(tmp_path) as reach,
    ):
        here = await store.sessions.create(session_id="here")
        other = await store.sessions.create(title="Birds")
        await store.messages.append(here.id, role=Role.USER, content="scrub jays here")
        said = await store.messages.append(
            other.id, role=Role.USER, content="I saw scrub jays hide food."
        )
        researched = "Scrub jays hide food [1].\n\n**Sources**\n\n1. Jays · wikipedia"
        await store.messages.append(other.id, role=Role.ASSISTANT, content=researched)
        [draft] = await found(Conversations(store, limit=5), reach)
        assert draft.url == f"session:{other.id}#{said.id}"
        assert (draft.title, draft.text) == ("Birds", "I saw scrub jays hide food.")


async def test_articles_of_earlier_questions_are_found_again(tmp_path: Path) -> None:
    async with (
        await Store.open(tmp_path / "scrubjay.db") as store,
        reaching(tmp_path) as reach,
    ):
        session = await store.sessions.create()
        draft = Draft(url="https://x.example", source="arxiv", title="Jays", text="Scrub jays eat.")
        await store.articles.upsert(session.id, [draft])
        message = msgspec.structs.replace(draft, url="session:1#2", source="conversations")
        await store.articles.upsert(session.id, [message])
        others = await store.sessions.create(user_id="somebody else")
        theirs = msgspec.structs.replace(draft, url="https://theirs.example")
        await store.articles.upsert(others.id, [theirs])
        assert await found(Kept(store, limit=5), reach) == [draft]


def pdf(text: str) -> bytes:
    """The least PDF file with a line of text (ISO 32000)."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n"
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)
