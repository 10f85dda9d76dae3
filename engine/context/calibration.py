"""Calibration: what one model's prompts cost beyond their text, learnt from the counts returned.

A template puts something around each message, and tools and calls are written out in ways that
differ. So the model's count of a prompt is taken to be

    offset + text + tools * t + messages * m + calls * c

Where the text was counted with another model's tokenizer, it has a weight of its own, and so has
what tokenizers disagree about: some take every digit for itself, some know few characters of other
scripts. The weights are learnt by Bayesian linear regression: a prior says what is usual, and
every returned count moves it. Odd counts, such as those of a prompt that the server cut short, are
weighed down, as if errors had Cauchy's heavy tails.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from engine.late import late

if TYPE_CHECKING:
    import numpy

    from engine.llm.base import ChatRequest

_DIGITS = late(r"\d+")
_WIDE = late(r"[^\x00-\u07ff]")  # a range of so many would be slow to compile
_ACCENTED = late(r"[\u0080-\u07ff]")
_PUNCTUATION = late(r"[!-/:-@\[-`{-~]")

DIGITS_A_TOKEN = 3
"""`o200k_base` takes up to so many digits for one token."""

ANSWER_OVERHEAD = 3
"""Tokens with which a template opens the answer."""

MESSAGE_OVERHEAD = 4
"""Tokens that a template puts around a message: a start, the role, a line break, an end."""

PRIOR = (ANSWER_OVERHEAD, 1.0, 1.0, MESSAGE_OVERHEAD, MESSAGE_OVERHEAD, 0.0, 0.0, 0.0, 0.0)
"""The weights before anything is learnt: of a constant, and of the figures in a `Shape`."""

SPREAD = (10.0, 0.2, 0.5, 2.0, 8.0, 0.7, 0.7, 0.5, 0.3)
SPREAD_OF_TEMPLATE = (10.0, 1e-4, 0.5, 2.0, 8.0, 1.0, 1.0, 1.0, 1.0)
"""How far off each is likely to be; in the second case the text needs no weighing."""

NOISE_TOKENS, NOISE_SHARE = 1.0, 0.02
NOISE_OF_TEMPLATE = 0.3
"""How far a count lies from the line, as a rule: in tokens, and as a share of the count."""

TAIL = 2.0
"""A count that lies so many times as far off has half the weight."""

ROUNDS = 12
"""Of weighing anew; the weights have settled by then."""


class Shape(NamedTuple):
    """What is counted in a prompt."""

    text: int
    """Tokens of the messages' contents, and of the calls' names and arguments."""

    tools: int = 0
    """Tokens of the tools' definitions."""

    messages: int = 0
    calls: int = 0

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

    def __init__(self, *, own_tokenizer: bool = False) -> None:
        """Args:
        own_tokenizer: Whether the text is counted with the model's own tokenizer.
        """
        self._own = own_tokenizer
        self._seen: deque[tuple[Shape, int]] = deque(maxlen=self.KEPT)
        self._weights: tuple[float, ...] = PRIOR

    def learn(self, shape: Shape, returned: int) -> None:
        """Take in one prompt's shape and the count that the server returned for it."""
        low, high = self._bounds(shape)
        if shape.text <= 0 or not low <= returned <= high:
            return
        self._seen.append((shape, returned))
        self._weights = self._solve()

    def apply(self, shape: Shape) -> int:
        """The prompt as this model would most likely count it."""
        low, high = self._bounds(shape)
        tokens = _weighed(self._weights, shape)
        return max(1, round(min(max(tokens, low), high)))

    def _bounds(self, shape: Shape) -> tuple[float, float]:
        """The least and the most that a prompt can count; a cached or a cut one is told as less."""
        low, high = self.RATIOS
        usual = _weighed(PRIOR, shape)
        return (shape.text if self._own else low * usual), high * usual + 64

    def _solve(self) -> tuple[float, ...]:
        import numpy

        shapes = numpy.array([(1, *shape) for shape, _ in self._seen], dtype=float)
        counts = numpy.array([count for _, count in self._seen], dtype=float)
        prior = numpy.array(PRIOR)
        spread = numpy.array(SPREAD_OF_TEMPLATE if self._own else SPREAD)
        noise = NOISE_TOKENS + NOISE_SHARE * counts
        if self._own:
            noise = numpy.full_like(counts, NOISE_OF_TEMPLATE)
        trust = 1 / noise**2
        for _ in range(ROUNDS):
            weighed: numpy.typing.NDArray[numpy.float64] = shapes.T * trust
            weights = numpy.linalg.solve(
                weighed @ shapes + numpy.diag(1 / spread**2), weighed @ counts + prior / spread**2
            )
            off = numpy.abs(shapes @ weights - counts) / noise
            trust = 1 / (1 + (off / TAIL) ** 2) / noise**2
        return tuple(weights.tolist())


def shape_of(request: ChatRequest, text: int, tools: int, *, tokenizer_known: bool) -> Shape:
    """The shape of a request with so many tokens of text and of tools."""
    shape = Shape(
        text=text,
        tools=tools,
        messages=len(request.messages),
        calls=sum(len(message.tool_calls) for message in request.messages),
    )
    if tokenizer_known:
        return shape
    contents = "\n".join(message.content for message in request.messages)
    runs = _DIGITS.findall(contents)
    return shape._replace(
        digits=sum(len(run) - -(-len(run) // DIGITS_A_TOKEN) for run in runs),
        wide=len(_WIDE.findall(contents)),
        accented=len(_ACCENTED.findall(contents)),
        punctuation=len(_PUNCTUATION.findall(contents)),
    )


def _weighed(weights: tuple[float, ...], shape: Shape) -> float:
    return weights[0] + sum(w * x for w, x in zip(weights[1:], shape, strict=True))
