"""Calibration: how one model's token counts differ from the estimate, learnt from what it returns.

Tokenizers agree on ordinary words and differ on the rest: some take every digit for itself, some
know few characters of other scripts. So the model's count is taken to be

    offset + ratio * estimate + digits * d + wide * w + accented * a + punctuation * p

with weights learnt by Bayesian linear regression: a prior says that the estimate is about right,
and every returned count moves it. Odd counts, such as those of a prompt that the server cut short,
are weighed down, as if errors had Cauchy's heavy tails.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy

    from engine.llm.base import ChatRequest

_DIGITS = re.compile(r"\d+")
_WIDE = re.compile(r"[\u0800-\U0010ffff]")
_ACCENTED = re.compile(r"[\u0080-\u07ff]")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

DIGITS_A_TOKEN = 3
"""`o200k_base` takes up to so many digits for one token."""

PRIOR = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
SPREAD = (10.0, 0.2, 0.7, 0.7, 0.5, 0.3)
"""The weights before anything is learnt, and how far off each is likely to be."""

NOISE_TOKENS, NOISE_SHARE = 1.0, 0.02
"""How far a count lies from the line, as a rule."""

TAIL = 2.0
"""A count that lies so many times as far off has half the weight."""

ROUNDS = 12
"""Of weighing anew; the weights have settled by then."""


class Shape(NamedTuple):
    """What is counted in a prompt: the estimate, and what tokenizers disagree about."""

    tokens: int
    digits: int = 0
    """Digits beyond one a token of the estimate."""

    wide: int = 0
    """Characters of three or four bytes: CJK, emoji and their like."""

    accented: int = 0
    """Characters of two bytes."""

    punctuation: int = 0


class Calibration:
    """The weights of one model. The newest `KEPT` prompts count."""

    KEPT = 64
    RATIOS = (0.5, 4.0)
    """Tokenizers differ by less than this; a figure outside says something else than a count."""

    def __init__(self) -> None:
        self._seen: deque[tuple[Shape, int]] = deque(maxlen=self.KEPT)
        self._weights: tuple[float, ...] = PRIOR

    def learn(self, shape: Shape, returned: int) -> None:
        """Take in one prompt's shape and the count that the server returned for it."""
        low, high = self.RATIOS
        if shape.tokens <= 0 or not low * shape.tokens <= returned <= high * shape.tokens + 64:
            return
        self._seen.append((shape, returned))
        self._weights = self._solve()

    def apply(self, shape: Shape) -> int:
        """The prompt as this model would most likely count it."""
        low, high = self.RATIOS
        offset, *weights = self._weights
        tokens = offset + sum(w * x for w, x in zip(weights, shape, strict=True))
        return max(1, round(min(max(tokens, low * shape.tokens), high * shape.tokens + 64)))

    def _solve(self) -> tuple[float, ...]:
        import numpy

        shapes = numpy.array([(1, *shape) for shape, _ in self._seen], dtype=float)
        counts = numpy.array([count for _, count in self._seen], dtype=float)
        prior, spread = numpy.array(PRIOR), numpy.array(SPREAD)
        noise = NOISE_TOKENS + NOISE_SHARE * counts
        trust = 1 / noise**2
        for _ in range(ROUNDS):
            weighed: numpy.typing.NDArray[numpy.float64] = shapes.T * trust
            weights = numpy.linalg.solve(
                weighed @ shapes + numpy.diag(1 / spread**2), weighed @ counts + prior / spread**2
            )
            off = numpy.abs(shapes @ weights - counts) / noise
            trust = 1 / (1 + (off / TAIL) ** 2) / noise**2
        return tuple(weights.tolist())


def shape_of(request: ChatRequest, tokens: int) -> Shape:
    """The shape of a request whose prompt was estimated at `tokens`."""
    text = "\n".join(message.content for message in request.messages)
    runs = _DIGITS.findall(text)
    return Shape(
        tokens=tokens,
        digits=sum(len(run) - -(-len(run) // DIGITS_A_TOKEN) for run in runs),
        wide=len(_WIDE.findall(text)),
        accented=len(_ACCENTED.findall(text)),
        punctuation=len(_PUNCTUATION.findall(text)),
    )
