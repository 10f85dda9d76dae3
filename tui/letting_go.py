"""What Textual holds of widgets that are gone, and how it is let go."""

from __future__ import annotations

from functools import lru_cache, partial

from textual._styles_cache import StylesCache


def share_backgrounds() -> None:
    """Have Textual remember the sums of colours without the widgets that they were for.

    `StylesCache.get_inner_outer` remembers its last 1,024 results by the object that asked, too,
    which is all that a widget has drawn: each closed dialog left a megabyte behind. The result
    follows from the colours alone.
    """
    plain = getattr(StylesCache.get_inner_outer, "__wrapped__", None)
    if plain is not None and not isinstance(plain, partial):
        shared = lru_cache(1024)(partial(plain, None))
        StylesCache.get_inner_outer = staticmethod(shared)  # type: ignore[assignment,method-assign]
