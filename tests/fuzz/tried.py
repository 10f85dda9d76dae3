"""How many inputs the fuzzers tried, to be told at the end of a run."""

from __future__ import annotations

from collections import Counter

_tried: Counter[str] = Counter()


def count(place: str) -> None:
    """Note one input."""
    _tried[place] += 1


def summary() -> str:
    """What was tried, in a sentence; empty where nothing was."""
    if not _tried:
        return ""
    return f"fuzzing: {_tried.total():,} inputs were tried in {len(_tried)} places"
