"""How many arenas the C library has: each keeps the most memory that its threads ever needed."""

from __future__ import annotations

import sys
from contextlib import suppress

M_ARENA_MAX = -8
"""Of glibc's `mallopt` (https://man7.org/linux/man-pages/man3/mallopt.3.html)."""

ARENAS = 2


def share_arenas() -> None:
    """Let threads that begin from now on share arenas, where the C library is glibc.

    It gives every thread one of its own, so that they need not wait for each other, and takes
    nothing back from it: a dozen threads kept 40 MB that none of them used any more. Python's
    threads mostly wait for each other anyway.
    """
    if sys.platform == "linux":
        import ctypes  # late: it takes some milliseconds

        with suppress(OSError, AttributeError):  # another C library has no such thing
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
