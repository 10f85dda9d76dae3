"""What is done and what fails, step by step: all of it follows from the seed alone."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACTS = (
    *(["send"] * 12),
    *(["stop"] * 4),
    *(["edit"] * 4),
    *(["branch"] * 4),
    *(["retry", "research", "search", "other_session", "new", "inspect"] * 2),
    *(["resize", "scroll", "dialogs", "delete", "find", "take_back"] * 2),
    "go_on",
)
"""How often each is done in a round, in an order that the seed decides."""

FAULTS = (
    "server_killed",
    "services_killed",
    "child_killed",
    "child_stopped",
    "locked",
    "disk_full",
    "clock_back",
    "resize_storm",
    "frozen",
)
"""Each once in a round."""

WHILE_EMBEDDED = ("child_killed", "child_stopped")
"""These are nothing unless the embedded model is at work."""

STEPS_A_FAULT = 5


class Step(NamedTuple):
    """One thing that the pilot does, and what begins to fail just before it."""

    number: int
    act: str
    fault: str
    """Empty, as a rule."""

    seed: str

    @property
    def chance(self) -> random.Random:
        """Decides on the details of the act."""
        return random.Random(f"{self.seed} act")

    @property
    def bad_luck(self) -> random.Random:
        """Decides on the details of the fault."""
        return random.Random(f"{self.seed} fault")


def schedule(seed: int) -> Iterator[Step]:
    """The steps of a run, without end."""
    acts, faults = _rounds(ACTS, f"{seed} acts"), _rounds(FAULTS, f"{seed} faults")
    for number in count():
        fault = next(faults) if number % STEPS_A_FAULT == STEPS_A_FAULT - 1 else ""
        act = "ask_embedded" if fault in WHILE_EMBEDDED else next(acts)
        yield Step(number, act, fault, f"{seed} step {number}")


def _rounds(names: Sequence[str], seed: str) -> Iterator[str]:
    chance = random.Random(seed)
    while True:
        yield from chance.sample(names, len(names))
