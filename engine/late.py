"""Regular expressions that are compiled when they are first used: no start waits for them."""

from __future__ import annotations

import re
from typing import cast


def late(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Like `re.compile`; a mistake in the pattern shows when it is first used.

    Compiling takes some 0.1 to 1 ms, so this is for what the first frame does not need.
    """
    return cast("re.Pattern[str]", _Late(pattern, flags))


class _Late:
    def __init__(self, pattern: str, flags: int) -> None:
        self._given = pattern, flags

    def __getattr__(self, name: str) -> object:
        value = getattr(re.compile(*self._given), name)
        setattr(self, name, value)  # from now on it is found without this
        return value
