"""Ranking: articles by how well their best passage fits the question, each told once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from engine.research import passages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.embedder import Embedder
    from engine.workers import Workers
    from storage.articles import Draft


async def rank(
    question: str, drafts: Sequence[Draft], embedder: Embedder, workers: Workers
) -> list[Draft]:
    """The articles with their relevance and best passage, best first, repetitions left out.

    Everything but the asking happens in workers.

    Raises:
        ModelError: The embedder's server failed.
        BrokenExecutor, TimeoutError: The workers did.
    """
    drafts = once_a_url(drafts)
    if not drafts:
        return []
    cut = await workers.run(passages.cut, question, [(draft.title, draft.text) for draft in drafts])
    vectors = await embedder.embed([question, *cut.passages])
    scored = await workers.run(passages.score, vectors[0], vectors[1:], cut.passages, cut.owners)
    ranked = [
        msgspec.structs.replace(draft, relevance=score.relevance, passage=score.passage)
        for draft, score, repeated in zip(drafts, scored, cut.repeats, strict=True)
        if repeated is None
    ]
    return sorted(ranked, key=lambda draft: -(draft.relevance or 0.0))


def once_a_url(drafts: Sequence[Draft]) -> list[Draft]:
    """The first of those that lead to the same page, or the longer one of two."""
    found: dict[str, Draft] = {}
    for draft in drafts:
        key = canonical(draft.url)
        if key not in found or len(draft.text) > len(found[key].text):
            found[key] = draft
    return list(found.values())


def canonical(url: str) -> str:
    """A URL without what makes no difference: scheme, `www.`, fragment, trackers, last slash."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url
    query = [(k, v) for k, v in parse_qsl(parts.query) if not k.lower().startswith("utm_")]
    host = (parts.netloc or "").lower().removeprefix("www.")
    return f"{host}{parts.path.rstrip('/')}?{urlencode(sorted(query))}"
