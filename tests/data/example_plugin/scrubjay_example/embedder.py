"""An embedder: texts by their vowels. One that takes long works in a thread or a process."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.plugins import Embedder


class Vowels(Embedder):
    """Counts vowels."""

    name = "vowels"
    space = "vowels-1"

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text: how often each vowel stands there."""
        return np.array(
            [[text.lower().count(vowel) + 0.1 for vowel in "aeiou"] for text in texts],
            dtype=np.float32,
        )
