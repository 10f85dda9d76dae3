"""Ranking: the best passage counts, and what is told twice is told once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine import encoders
from engine.config import ResearchSettings
from engine.embedding import WorkerEmbedder, choose_embedder
from engine.research import passages
from engine.research.citations import cited, unknown
from engine.research.ranking import canonical, once_a_url, rank
from engine.research.synthesis import closing
from engine.research.words import sentences
from engine.workers import Workers, processes
from storage.articles import Draft
from tests.engine.research import formats
from tests.engine.research.support import QUESTION, researching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

JAYS = Draft(url="https://a.example/jays", source="a", title="Jays", text=formats.prose(0, 8))
TAX = Draft(
    url="https://a.example/tax",
    source="a",
    title="Tax returns",
    text="Income is declared once a year. Late declarations are fined. Receipts must be kept. " * 4,
)
MIXED = Draft(
    url="https://a.example/mixed",
    source="a",
    title="Notes",
    text=f"{TAX.text}\n\n{JAYS.text[:300]}",
)


@asynccontextmanager
async def working() -> AsyncIterator[Workers]:
    async with Workers.running(partial(processes, 1), 1) as workers:
        yield workers


@pytest.mark.parametrize("name", ["embedded", "words"])
async def test_what_fits_the_question_comes_first(name: str) -> None:
    async with working() as workers:
        ranked = await rank(QUESTION, [TAX, MIXED, JAYS], WorkerEmbedder(name, workers), workers)
    assert [draft.title for draft in ranked][-1] == "Tax returns"
    assert ranked[0].relevance is not None
    assert ranked[0].relevance > 2 * (ranked[-1].relevance or 0)
    assert all(0 <= (draft.relevance or 0) <= 1 for draft in ranked)
    mixed = next(draft for draft in ranked if draft.title == "Notes")
    assert "jays" in mixed.passage


async def test_ollamas_embedding_model_is_preferred(
    tmp_path: Path, ollama_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama_host)
    async with researching(tmp_path, ResearchSettings()) as engine, working() as workers:
        embedder = await choose_embedder("", engine.models, workers)
        assert embedder.name.startswith("ollama:all-minilm")
        ranked = await rank(QUESTION, [TAX, JAYS], embedder, workers)
        assert [draft.title for draft in ranked] == ["Jays", "Tax returns"]


async def test_without_a_server_the_embedded_encoder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    async with researching(tmp_path, ResearchSettings()) as engine, working() as workers:
        assert (await choose_embedder("", engine.models, workers)).name == "embedded"


async def test_almost_the_same_text_is_told_once() -> None:
    again = Draft(
        url="https://b.example/copy", source="b", title="Jays!", text=f"Reposted. {JAYS.text}"
    )
    async with working() as workers:
        ranked = await rank(QUESTION, [JAYS, again, TAX], WorkerEmbedder("words", workers), workers)
    assert [draft.title for draft in ranked] == ["Jays", "Tax returns"]


@pytest.mark.parametrize(
    "other",
    [
        "http://www.x.example/a",
        "https://x.example/a/",
        "https://x.example/a#part",
        "https://X.example/a?utm_source=feed&utm_medium=rss",
    ],
)
def test_addresses_of_one_page_are_one(other: str) -> None:
    assert canonical(other) == canonical("https://x.example/a")
    short = Draft(url="https://x.example/a", source="a", title="A", text="")
    full = Draft(url=other, source="b", title="A", text="More of it.")
    assert once_a_url([short, full]) == [full]


@pytest.mark.parametrize(
    "other", ["https://x.example/b", "https://x.example/a?page=2", "session:1"]
)
def test_addresses_of_two_pages_are_two(other: str) -> None:
    assert canonical(other) != canonical("https://x.example/a")


def test_passages_are_whole_sentences_and_bounded() -> None:
    text = formats.prose(0, 200)
    pieces = passages.pieces_of(text)
    assert " ".join(pieces) == text
    assert all(len(piece.split()) < passages.WORDS + 30 for piece in pieces)
    assert all(piece.endswith(".") for piece in pieces)
    assert max(len(p.split()) for p in passages.pieces_of("word " * 5_000)) <= 2 * passages.WORDS
    found = passages.cut(QUESTION, [("Long", text)])
    assert len(found.passages) == passages.MOST_PASSAGES


def test_a_heading_is_a_sentence_of_its_own_without_its_marks() -> None:
    text = "# Jays\n\nThey hide acorns.\n## Why? ##\nNobody knows. # is a sign\n### Found\n"
    assert sentences(text) == [
        "Jays.", "They hide acorns.", "Why?", "Nobody knows. # is a sign", "Found.",
    ]  # fmt: skip
    quoted = closing(
        "What do they hide?", "I know.", [Draft(url="", source="", title="", text=text)]
    )
    assert "- “They hide acorns.” [1]" in quoted


def test_a_source_is_told_by_its_address_or_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "my jays.md"
    told = closing(
        "What?",
        "That [1].",
        [
            Draft(url=file.as_uri(), source="files", title="Jays", text=""),
            Draft(url="https://x.example/a(b)", source="feeds", title="Crows", text=""),
        ],
    )
    path = str(file).replace("_", r"\_")
    assert f"1. Jays ({path}) · files\n2. [Crows](<https://x.example/a%28b%29>) · feeds" in told


def test_texts_without_words_are_no_trouble() -> None:
    found = passages.cut("", [("", ""), ("", "…"), ("", "")])
    assert found.repeats == [None, None, None]
    vectors = encoders.hashed(["", *found.passages])
    scored = passages.score(vectors[0], vectors[1:], found.passages, found.owners)
    assert [one.relevance for one in scored] == [0, 0, 0]
    assert np.isfinite(vectors).all()


async def test_the_event_loop_goes_on_while_texts_are_ranked() -> None:
    drafts = [
        Draft(url=f"https://x.example/{n}", source="a", title=str(n), text=formats.prose(n, 60))
        for n in range(30)
    ]
    turns = 0
    async with working() as workers:
        ranking = asyncio.ensure_future(
            rank(QUESTION, drafts, WorkerEmbedder("embedded", workers), workers)
        )
        while not ranking.done():
            turns += 1
            await asyncio.sleep(0.001)
        await ranking
    assert turns > 20


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("So [1] and [2, 3]; again [1].", [1, 2, 3]),
        ("A link [4](https://x.example) is no citation.", []),
        ("A list x[i] or [1a] is none.", []),
        ("[12;13]", [12, 13]),
    ],
)
def test_citations_are_numbers_in_brackets(answer: str, numbers: list[int]) -> None:
    assert cited(answer) == numbers
    assert unknown(answer, 2) == [number for number in numbers if number > 2]
