"""What a text is like, in a few bits: whether it tells a time, a place, a plan, asks something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|recently|lately|soon|earlier|later|since"
    r"|this (?:week|month|year|morning|afternoon|evening|weekend|summer|winter|spring|fall|autumn)"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|weekend|month|week|year|morning"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:19|20)\d\d|the other day|just (?:now|got|came|went|had|finished|started|did))\b"
)
_DURATION = re.compile(
    r"\b(?:years?|months?|weeks?|days?|hours?|minutes?|since|for (?:a|the|about|over|\w+) \w+"
    r"|anniversary|long)\b"
)
_PLACE = re.compile(r"\b(?:[Ii]n|[Aa]t|[Tt]o|[Ff]rom|[Nn]ear) (?:the )?[A-Z]\w+")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]+")
_REASON = re.compile(r"\b(?:because|since|so that|to help|cause|reason|inspired|wanted|why)\b")
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|my|me|we|our|mine)\b")
_PLAN = re.compile(
    r"\b(?:will|'ll|going to|gonna|plan\w*|want to|hope|hoping|looking forward|thinking of|next"
    r"|decided|considering)\b"
)
_QUOTED = re.compile(r'["“][^"“”]{2,200}["”]')

BITS = ("time", "duration", "place", "reason", "first", "plan", "asks", "quoted")
"""What holds or does not."""

MOST_NAMES = 4


def form(text: str, low: str) -> int:
    """What a text is like: a bit for each of `BITS`, and above them how many names it has.

    Args:
        text: As it was written.
        low: The same, folded.
    """
    body = low.rstrip()
    if body.endswith((")", "]")):  # an aside, such as what a picture shows
        body = body[: max(body.rfind("("), body.rfind("["), 0)].rstrip()
    holds = (
        _TIME.search(low) is not None,
        _DURATION.search(low) is not None,
        _PLACE.search(text) is not None,
        _REASON.search(low) is not None,
        _FIRST_PERSON.search(low) is not None,
        _PLAN.search(low) is not None,
        body.endswith("?"),
        _QUOTED.search(text) is not None,
    )
    names = min(len(set(_NAME.findall(text))), MOST_NAMES)
    return sum(one << bit for bit, one in enumerate(holds)) | names << len(BITS)


def of(forms: NDArray[Any], name: str) -> NDArray[np.float32]:
    """How much of `BITS` or `names` there is in some forms, from 0 to 1."""
    if name == "names":
        return ((forms >> len(BITS)) / MOST_NAMES).astype(np.float32)
    return (forms >> BITS.index(name) & 1).astype(np.float32)
