"""Ids that sort by time: UUIDs of RFC 9562, of version 7, or of version 8 for what comes in."""

from __future__ import annotations

import hashlib
import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A UUIDv7 as 32 hexadecimal digits, greater than every one that this process made before.

    The 12 bits after the version hold the fraction of the millisecond (method 3 of section 6.2),
    so ids made within one millisecond keep their order too.
    """
    global _last
    with _lock:
        ticks = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        _last = ticks
    milliseconds, fraction = divmod(ticks, 4096)
    random = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
    return f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random:032x}"


def stable_id(origin: str, at: float) -> str:
    """The same 32 hexadecimal digits for the same origin and time, whenever they are asked for.

    Args:
        origin: What it is, and where it comes from; no two things have the same.
        at: When it was made, in seconds since the epoch. Ids sort by it.
    """
    milliseconds = min(max(int(at * 1000), 0), (1 << 48) - 1)
    digest = int.from_bytes(hashlib.sha256(origin.encode("utf-8", "replace")).digest(), "big")
    fraction, rest = digest & (1 << 12) - 1, digest >> 12 & (1 << 62) - 1
    return f"{milliseconds << 80 | 8 << 76 | fraction << 64 | 2 << 62 | rest:032x}"
