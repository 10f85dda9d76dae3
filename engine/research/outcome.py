"""The outcome of a run in figures, as the panel, the command line and the store have it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

# msgspec reads these from the annotations.
from engine.pool import JobState  # noqa: TC001
from engine.research.analysis import Report  # noqa: TC001
from engine.research.topics import Topics  # noqa: TC001

STATE = "research"
"""The key in a session's state that holds the outcome of its last run."""


class Stage(StrEnum):
    """What a run does now."""

    TOPICS = "topics"
    FETCH = "fetch"
    RANK = "rank"
    ANALYSE = "analyse"
    ANSWER = "answer"
    DONE = "done"
    STOPPED = "stopped"


class SourceOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is, or was in the end."""

    name: str
    state: JobState
    reason: str = ""
    """Why it failed."""

    articles: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """What it could not read although the rest went well."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A run in figures, as the panel, the command line and the store have it."""

    question: str
    stage: Stage
    topics: Topics | None = None
    sources: tuple[SourceOutcome, ...] = ()
    embedder: str = ""
    trouble: str = ""
    """What did not go as it should have although the run went on."""

    report: Report | None = None
    unknown_citations: tuple[int, ...] = ()
    """Numbers that the answer cites and no article has."""

    began_at: float = 0.0


def outcome_of(state: object) -> Outcome | None:
    """The outcome that a session's state holds; None when there is none, or a stranger's."""
    try:
        return msgspec.convert(state, Outcome) if state is not None else None
    except msgspec.ValidationError:
        return None
