"""How many inputs the fuzzers tried, to be told at the end of a run."""

from __future__ import annotations

from collections import Counter

_tried: Counter[str] = Counter()


def count(place: str) -> None:
    """Note one input."""
    _tried[place] += 1


def counts() -> dict[str, int]:
    """What was tried in this process, by place."""
    return dict(_tried)


def add(counted: dict[str, int]) -> None:
    """Take in what was tried in another process."""
    _tried.update(counted)


def summary() -> str:
    """What was tried, in a sentence; empty where nothing was."""
    if not _tried:
        return ""
    return f"fuzzing: {_tried.total():,} inputs were tried in {len(_tried)} places"
