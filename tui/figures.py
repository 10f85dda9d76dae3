"""Values as people read them: counts, sizes, durations, figures as bars, and what is nested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
EIGHTHS = "▏▎▍▌▋▊▉█"


def count(number: int) -> str:
    """A count in at most six cells: `9,999`, `12.3k`, `4.5M`."""
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= scale:
            return f"{number / (1e3 if letter == 'k' else scale):.1f}{letter}"
    return f"{number:,}"


def size(number: int) -> str:
    """A number of bytes: `812 kB`, `61 MB`, `1.2 GB`."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} GB"
    if number >= 1e6:
        return f"{number / 1e6:.0f} MB" if number >= 1e7 else f"{number / 1e6:.1f} MB"
    return f"{number / 1e3:.0f} kB"


def duration(seconds: float) -> str:
    """A duration: `410 ms`, `12.3 s`, `2m 05s`, `1h 02m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def sparkline(values: Sequence[float]) -> str:
    """One bar a value, from nothing to the largest."""
    top = max(values, default=0.0)
    if top <= 0:
        return BARS[0] * len(values)
    return "".join(BARS[min(7, int(value / top * 8))] for value in values)


def bar(share: float, cells: int) -> str:
    """A bar of `share` (0 to 1) of so many cells, in eighths of one; something is never nothing."""
    eighths = round(min(1.0, max(0.0, share)) * cells * 8) or (1 if share > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return EIGHTHS[-1] * whole + (EIGHTHS[rest - 1] if rest else "")


def in_json(value: object) -> str:
    """A value as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
