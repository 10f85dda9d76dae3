"""Synthesis: articles as the model is shown them, and what closes an answer that cites them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from engine.context.budget import Excerpt
from engine.prompts import prompt
from engine.research.citations import SOURCES, cited, unknown
from engine.research.words import content_words, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.context.budget import Material
    from storage.articles import Draft

EXCERPT_CHARACTERS = 900
QUOTES = 3
"""Sentences of the articles that are put under an answer that cites none."""

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~$])")


def excerpts(numbered: Iterable[tuple[int, Draft]]) -> tuple[Excerpt, ...]:
    """Articles as a model is shown them, by their numbers."""
    return tuple(
        Excerpt(
            number=number,
            title=article.title,
            where=article.source,
            date=_day(article.published_at),
            text=(article.passage or article.text)[:EXCERPT_CHARACTERS],
        )
        for number, article in numbered
    )


def with_articles(material: Material, articles: Sequence[Draft]) -> Material:
    """What a model is shown, with articles to answer from, and without tools they might call."""
    return msgspec.structs.replace(
        material,
        system=f"{material.system}\n\n{prompt('research')}",
        articles=excerpts(enumerate(articles, 1)),
        tools=(),
    )


def closing(question: str, answer: str, articles: Sequence[Draft]) -> str:
    """What goes under an answer, in Markdown: what is wrong with its citations, and the sources.

    An answer that cites nothing, as those of small models do, gets what the articles say in their
    own words, so that there is something to check it against.
    """
    parts = []
    if wrong := unknown(answer, len(articles)):
        numbers = ", ".join(f"\\[{number}\\]" for number in wrong)
        parts.append(f"⚠ No source has the number {numbers}: what cites it is unfounded.")
    if not any(1 <= number <= len(articles) for number in cited(answer)):
        parts.append("The answer above cites no article. In their own words:")
        parts.append(
            "\n".join(f"- “{_plain(text)}” [{n}]" for n, text in _quotes(question, articles))
        )
    parts.append(SOURCES)
    parts.append("\n".join(_source(n, article) for n, article in enumerate(articles, 1)))
    return "\n\n" + "\n\n".join(parts)


def _quotes(question: str, articles: Sequence[Draft]) -> list[tuple[int, str]]:
    """The sentence of each of the best articles that shares most words with the question."""
    wanted = set(content_words(question))
    quotes = []
    for number, article in enumerate(articles[:QUOTES], 1):
        passage = article.passage.removeprefix(f"{article.title}. ")
        found = sentences(passage or article.text) or [article.title]
        best = max(found, key=lambda one: len(wanted.intersection(content_words(one))))
        quotes.append((number, best if len(best) <= 300 else f"{best[:299]}…"))
    return quotes


def _source(number: int, article: Draft) -> str:
    title = _plain(article.title or article.url)
    if article.url.startswith("file://"):  # Markdown makes no link of it, wherever it is shown
        title += f" ({_plain(unquote(article.url.removeprefix('file://')))})"
    elif article.url.startswith(("http://", "https://")):
        target = article.url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
        title = f"[{title}](<{target.replace('<', '%3C').replace('>', '%3E')}>)"
    about = ", ".join(filter(None, [article.source, _day(article.published_at)]))
    return f"{number}. {title} · {about}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _day(at: float | None) -> str:
    if at is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(at))
    except (OverflowError, ValueError, OSError):
        return ""
