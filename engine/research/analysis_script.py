"""Statistics over articles: a JSON array on stdin, one JSON object on stdout, and nothing else.

Runs as `python -I -S analysis_script.py`. Before it reads, it gives up opening files, starting
processes and more memory or time than it needs.

A fresh interpreter runs it each time, so it imports nothing but what is compiled into Python or
nearly so: `json`, `re` and `collections` take longer to import than a thousand articles to analyse.

An article is an object with `title`, `source`, `text`, and, where they are known, `relevance` (0 to
1), `published` (seconds since the epoch), `words` (of the whole text) and `url`.
"""

from __future__ import annotations

import sys
import time
from _json import encode_basestring_ascii, make_scanner

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

    Articles = list[dict[str, Any]]

MEMORY_BYTES = 512_000_000
CPU_SECONDS = 10
READING_WORDS_PER_MINUTE = 230
TOP_ARTICLES = 5
TOP_KEYWORDS = 12
HISTOGRAM_BARS = 10
KEYWORD_CHARACTERS = 30_000
"""Of all texts together, from which keywords are taken: an equal share of each."""

STOP_WORDS = frozenset(
    """
    a about above across after again against all almost also although always am among an and any
    anyone anything are aren't around as at be became because been before being below between both
    but by can can't cannot come could couldn't did didn't do does doesn't doing don't done down
    during each either else enough etc even ever every everyone everything few find first for found
    from further gave get gets getting give given go goes going gone got had hadn't has hasn't have
    haven't having he he'd he'll he's her here here's hers herself him himself his how how's however
    i i'd i'll i'm i've if in indeed instead into is isn't it it'd it'll it's its itself just keep
    kind know last least less let let's like likely long made mainly make makes making many may
    maybe me mean means might mine more most mostly much must my myself near need needs neither
    never new next no nobody none nor not nothing now of off often ok on once one ones only onto or
    other others ought our ours ourselves out over own part per perhaps please put quite rather
    really said same saw say says second see seem seemed seems seen several shall shan't she she'd
    she'll she's should shouldn't show since so some somebody someone something sometimes soon still
    such sure take taken tell than that that'd that'll that's the their theirs them themselves then
    there there's therefore these they they'd they'll they're they've thing things think this those
    though three through thus to together too took toward towards tried tries try trying two under
    unless until up upon us use used uses using usually various very via want wants was wasn't way
    we we'd we'll we're we've well went were weren't what what'll what's when when's where where's
    whether which while who who'll who's whole whom whose why why's will with within without won't
    work works would wouldn't yes yet you you'd you'll you're you've your yours yourself yourselves
    """.split()  # noqa: SIM905 (a list of 300 lines says no more)
)

JOINING = frozenset(("and", "for", "in", "of"))
MARK = "|"
"""Stands for a mark in a text that no run of words goes across."""


def main() -> None:
    """Read, analyse, write."""
    lock_down()
    articles = read(sys.stdin.buffer.read().decode())
    sys.stdout.write(written(report(articles)))


def report(articles: Articles) -> dict[str, Any]:
    """Everything there is to say about the articles, as one object."""
    relevances = [a["relevance"] for a in articles if a.get("relevance") is not None]
    words = sum(a["words"] if "words" in a else len(a["text"].split()) for a in articles)
    best = sorted(articles, key=lambda a: -(a.get("relevance") or 0.0))
    return {
        "count": len(articles),
        "mean": _mean(relevances),
        "deviation": _deviation(relevances),
        "sources": _sources(articles),
        "top": [
            {key: a.get(key) for key in ("title", "url", "source", "relevance")}
            for a in best[:TOP_ARTICLES]
        ],
        "histogram": _histogram(relevances),
        "keywords": _keywords(articles),
        "timeline": _timeline(articles),
        "words": words,
        "reading_minutes": round(words / READING_WORDS_PER_MINUTE, 1),
    }


class _Reading:
    """How the scanner of the module `json` reads, which is compiled code, by its own defaults."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012 (typing is slow to import)


def read(text: str) -> Any:
    """What a JSON text without white space around it says."""
    return make_scanner(_Reading())(text, 0)[0]  # type: ignore[arg-type]  # it takes any such


def written(value: Any) -> str:
    """A value as JSON."""
    match value:
        case str():
            return encode_basestring_ascii(value)
        case dict():
            return f"{{{','.join(f'{written(k)}:{written(v)}' for k, v in value.items())}}}"
        case list():
            return f"[{','.join(map(written, value))}]"
    return "null" if value is None else repr(value)


def lock_down() -> None:
    """Give up what the statistics do not need, where the system can take it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        if hard == resource.RLIM_INFINITY or value <= hard:
            try:
                resource.setrlimit(limit, (value, value))
            except (ValueError, OSError):  # macOS knows some of them by name only
                continue


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _deviation(values: list[float]) -> float | None:
    """Of the population, as the articles are all there are."""
    mean = _mean(values)
    if mean is None:
        return None
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return float(variance**0.5)


def _sources(articles: Articles) -> list[dict[str, Any]]:
    relevances: dict[str, list[float | None]] = {}
    for article in articles:
        relevances.setdefault(article["source"], []).append(article.get("relevance"))
    return [
        {
            "source": source,
            "count": len(values),
            "mean": _mean([value for value in values if value is not None]),
        }
        for source, values in sorted(relevances.items(), key=lambda item: -len(item[1]))
    ]


def _histogram(relevances: list[float]) -> list[int]:
    """How many articles have a relevance of 0 to 0.1, of 0.1 to 0.2, and so on."""
    bars = [0] * HISTOGRAM_BARS
    for value in relevances:
        bars[min(HISTOGRAM_BARS - 1, max(0, int(value * HISTOGRAM_BARS)))] += 1
    return bars


def _keywords(articles: Articles) -> list[dict[str, Any]]:
    """Words, and runs of two or three, by how often they stand in the articles' beginnings.

    A run of three may be joined by a word such as `of`. A word that is seen in a run is told as the
    run.
    """
    share = KEYWORD_CHARACTERS // max(1, len(articles))
    begun = [f"{a['title']} . {a['text'][: max(0, share - len(a['title']))]}" for a in articles]
    counts = _runs(_words(" . ".join(begun).lower()))
    least = 2 if len(articles) > 1 else 1
    ranked = sorted(
        (-times * (term.count(" ") + 2), term) for term, times in counts.items() if times >= least
    )
    chosen: list[dict[str, Any]] = []
    for _, term in ranked:
        inside = f" {term} "
        if not any(inside in f" {c['term']} " or f" {c['term']} " in inside for c in chosen):
            chosen.append({"term": term, "count": counts[term]})
            if len(chosen) == TOP_KEYWORDS:
                break
    return chosen


class _Letters(dict[int, str]):
    """For each character what it is to words: a part of one, the end of a run, or a gap."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        if letter == "’":
            letter = "'"
        elif letter in ".!?;:|":
            letter = f" {MARK} "
        elif not letter.isalnum() and letter not in "_'-":
            letter = " "
        self[code] = letter
        return letter


def _words(text: str) -> list[str]:
    """The words of a text, and marks."""
    return [w for w in text.translate(_Letters()).split() if w[0].isalpha() or w == MARK]


def _runs(words: list[str]) -> dict[str, int]:
    """How often each word stands there, and each run of two or three, that tells something."""
    tells = {word: len(word) > 2 and word not in STOP_WORDS for word in {*words, ""}}
    counts: dict[str, int] = {}
    before = last = ""
    for word in words:
        if tells[word]:
            counts[word] = counts.get(word, 0) + 1
            if tells[last]:
                run = f"{last} {word}"
                counts[run] = counts.get(run, 0) + 1
            if tells[before] and (tells[last] or last in JOINING):
                run = f"{before} {last} {word}"
                counts[run] = counts.get(run, 0) + 1
        before, last = last, word
    return counts


def _timeline(articles: Articles) -> list[dict[str, Any]]:
    """Articles a year; a month where they all fall into two years; undated ones are left out."""
    dates = [time.gmtime(a["published"]) for a in articles if a.get("published") is not None]
    if not dates:
        return []
    years = [date.tm_year for date in dates]
    if max(years) - min(years) < 2:
        periods = [f"{date.tm_year}-{date.tm_mon:02d}" for date in dates]
    else:
        periods = [str(year) for year in years]
    counts: dict[str, int] = {}
    for period in periods:
        counts[period] = counts.get(period, 0) + 1
    return [{"period": period, "count": count} for period, count in sorted(counts.items())]


if __name__ == "__main__":
    main()
