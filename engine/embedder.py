"""What every embedder is: texts in, vectors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Embedder(ABC):
    """Makes vectors of texts.

    Attributes:
        name: As settings and the screen name it.
        space: The model. Vectors of different ones can't be compared.
    """

    name: str
    space: str

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, in order; shape (texts, dimensions)."""
