"""What a question asks for: its words, whose words it is after, dates, the form of an answer.

Read by rules of general English; a question in another language keeps its words.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

from engine.late import late
from engine.memory import words as language

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH = late(rf"\b({'|'.join(_MONTHS)})\b")
_ISO_DATE = late(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_DAY = late(r"\b(\d{1,2})(?:st|nd|rd|th)?\b(?!:)")
_YEAR = late(r"\b((?:19|20)\d\d)\b")
_BACK = late(r"\b(?:(\d+|an?|two|three|four|five|six) (day|week|month|year)s? ago|yesterday)\b")
_LAST = late(r"\b(last|this) (week|month|year)\b")
_COUNTS = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}

_ASKED_OF_MODEL = late(
    r"\byou (?:\w+ )?(?:say|said|tell|told|suggest\w*|recommend\w*|advi[sc]e\w*|explain\w*"
    r"|mention\w*|gave|give|wrote|write|propos\w*|list\w*)\b"
    r"|\byour (?:\w+ )?(?:advice|suggestion|recommend\w*|answer|explanation|opinion|tip)"
)
_SAYING = {"suggest", "recommend", "recommendation", "advice", "advise", "explain", "mention"}
_FIRST_PERSON = late(r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|myself|we|our|us)\b")

_ASKS = {
    "when": r"\bwhen\b|\b(?:what|which) (?:date|day|month|year|time)\b|how long ago",
    "duration": r"how (?:long|old|often)",
    "place": r"\bwhere\b|(?:what|which) (?:countr(?:y|ies)|cit(?:y|ies)|states?|places?|towns?)\b",
    "reason": r"\bwhy\b|reason|motivat|inspire",
    "plan": r"plan|going to|will |next|future|want|goal|dream|hope",
    "title": r"\b(?:book|novel|movie|film|song|game|show|series|album|title|called|name of|quote"
    r"|sa(?:y|id))",
    "judgement": r"^(?:would|could|is|does|might|can|do|are|was|did|has)\b|\blikely\b|\bmight\b"
    r"|considered",
    "list": r"^(?:what|which|in what|how many|where) (?:\w+ )?(?:kinds? of |types? of )?\w*[^s']s\b"
    r"|\bboth\b|in common",
}
_PATTERNS = {name: late(pattern) for name, pattern in _ASKS.items()}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question, read."""

    text: str
    """Folded: lower case, no diacritics."""

    stems: tuple[str, ...]
    """Of its content words, in order; the names of speakers are left out."""

    speakers: frozenset[str]
    """Whose words are asked for."""

    asks: frozenset[str]
    """The forms of the answer that it asks for: `when`, `place`, `list` …"""

    months: frozenset[int]
    days: frozenset[int]
    years: frozenset[int]
    span: tuple[date, date] | None
    """The days that words like "last week" mean."""


def as_told(text: str, speakers: Iterable[str]) -> str:
    """A question in the words of whoever would answer it: a speaker's name is `I`, or `my`.

    Messages say `I`, so their vectors are nearer to this than to the question as it was asked.
    """
    names = [re.escape(name) for name in speakers if name not in ("user", "assistant")]
    if not names:
        return text
    named = re.compile(rf"\b(?:{'|'.join(names)})('s)?(?!\w)", re.IGNORECASE)
    return named.sub(lambda found: "my" if found[1] else "I", text)


def read(text: str, speakers: frozenset[str], now: float | None = None) -> Question:
    """Read a question.

    Args:
        text: As it was asked.
        speakers: The names of everybody who spoke, as the messages give them.
        now: When it is asked, in seconds since the epoch; by default now.
    """
    low = language.folded(text[: language.LONGEST_CHARACTERS])
    named = {language.folded(speaker): speaker for speaker in speakers}
    wanted: set[str] = set()
    stems: list[str] = []
    for word in language.WORD.findall(low):
        plain = word.removesuffix("'s")
        if plain in named and plain not in ("user", "assistant"):
            wanted.add(named[plain])
        elif word not in language.STOP_WORDS and plain not in language.STOP_WORDS:
            stems.append(language.stem(plain))
    if not wanted:
        if _ASKED_OF_MODEL.search(low):
            wanted.add("assistant")
            saying = set(map(language.stem, _SAYING))  # not before: the stemmer is slow to import
            stems = [stem for stem in stems if stem not in saying]
        elif _FIRST_PERSON.search(low):
            wanted.add("user")
    months = {
        _MONTHS.index(month) + 1
        for month in _MONTH.findall(low)
        if month not in ("may", "march") or month.title() in text
    }
    days = {int(day) for day in _DAY.findall(low) if 1 <= int(day) <= 31} if months else set()
    for _, month, day in _ISO_DATE.findall(low):
        months.add(int(month))
        days |= {int(day)} if day else set()
    return Question(
        text=low,
        stems=tuple(stems),
        speakers=frozenset(wanted),
        asks=frozenset(name for name, pattern in _PATTERNS.items() if pattern.search(low)),
        months=frozenset(months),
        days=frozenset(days),
        years=frozenset(int(year) for year in _YEAR.findall(low)),
        span=_span(low, _day(now)),
    )


def _day(now: float | None) -> date:
    moment = datetime.now() if now is None else datetime.fromtimestamp(now)  # noqa: DTZ005, DTZ006
    return moment.date()


def _span(low: str, today: date) -> tuple[date, date] | None:
    """The days that a relative time means: with some slack, as people count."""
    if back := _BACK.search(low):
        count, unit = back.groups()
        if unit is None:
            return today - timedelta(days=1), today - timedelta(days=1)
        amount = _COUNTS.get(count) or min(int(count), 200)
        length = _UNIT_DAYS[unit]
        middle = today - timedelta(days=amount * length)
        return middle - timedelta(days=length // 2), middle + timedelta(days=length // 2)
    if last := _LAST.search(low):
        which, unit = last.groups()
        if unit == "week":
            first = today - timedelta(days=today.weekday())
            if which == "last":
                return first - timedelta(days=7), first - timedelta(days=1)
            return first, today
        if unit == "month":
            first = today.replace(day=1)
        else:
            first = today.replace(month=1, day=1)
        if which == "this":
            return first, today
        end = first - timedelta(days=1)
        return (end.replace(day=1) if unit == "month" else end.replace(month=1, day=1)), end
    return None
