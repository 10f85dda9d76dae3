"""Days as people name them: how a moment is called in a list, seen from today."""

from __future__ import annotations

import time

DAYS_BY_NAME = 7
"""Today, yesterday and the weekdays before; what is older goes by its month."""


class Days:
    """Names moments (seconds since the epoch) in the local time of one day."""

    def __init__(self, now: float | None = None) -> None:
        today = time.localtime(now)
        self._year = today.tm_year
        # mktime carries day 0 over into the month before, and knows of daylight saving time.
        self._starts = [
            time.mktime((today.tm_year, today.tm_mon, today.tm_mday - back, 0, 0, 0, 0, 0, -1))
            for back in range(DAYS_BY_NAME)
        ]
        self.today = self._starts[0]
        """When today began."""

        self.tomorrow = time.mktime(
            (today.tm_year, today.tm_mon, today.tm_mday + 1, 0, 0, 0, 0, 0, -1)
        )
        """When these names stop being true."""

    def group(self, moment: float) -> tuple[str, float]:
        """The day or the month of a moment, and when that began.

        `Today`, `Yesterday`, `Thursday`, `October`, `October 2025`.
        """
        for back, start in enumerate(self._starts):
            if moment >= start:
                weekday = time.strftime("%A", time.localtime(moment))
                return ("Today", "Yesterday", weekday)[min(back, 2)], start
        when = time.localtime(moment)
        name = time.strftime("%B" if when.tm_year == self._year else "%B %Y", when)
        return name, time.mktime((when.tm_year, when.tm_mon, 1, 0, 0, 0, 0, 0, -1))

    def within_group(self, moment: float) -> str:
        """What the group leaves open: the time of day, or the day of the month."""
        when = time.localtime(moment)
        if moment >= self._starts[-1]:
            return time.strftime("%H:%M", when)
        return f"{time.strftime('%a', when)} {when.tm_mday}"

    def short(self, moment: float) -> str:
        """A moment on its own, in a few cells: `14:05`, `Thu`, `12 Oct`, `Oct 2025`."""
        when = time.localtime(moment)
        if moment >= self.today:
            return time.strftime("%H:%M", when)
        if moment >= self._starts[-1]:
            return time.strftime("%a", when)
        if when.tm_year == self._year:
            return f"{when.tm_mday} {time.strftime('%b', when)}"
        return time.strftime("%b %Y", when)
