"""How tall every message of a conversation is, whether it has been measured or not."""

from __future__ import annotations

from array import array


class Heights:
    """The heights in rows of `count` messages, and the sums over them.

    What has been measured is kept exactly, in binary indexed trees (Fenwick 1994); everything
    else counts as `estimate` rows. So opening a conversation costs three zeroed arrays, and a
    better estimate is one number. Lookups and updates take O(log count).
    """

    def __init__(self, count: int = 0, estimate: int = 6) -> None:
        self.estimate = max(1, estimate)
        self._heights = array("i", bytes(4 * count))  # 0 where not measured
        self._rows = array("q", bytes(8 * (count + 1)))
        self._measured = array("i", bytes(4 * (count + 1)))

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index] or self.estimate

    def is_measured(self, index: int) -> bool:
        """Whether the height of the message at `index` is known exactly."""
        return self._heights[index] > 0

    @property
    def total(self) -> int:
        """Rows of the whole conversation."""
        return self.top(len(self))

    def top(self, index: int) -> int:
        """The first row of the message at `index`; `top(len(self))` is the total."""
        rows = measured = 0
        node = index
        while node:
            rows += self._rows[node]
            measured += self._measured[node]
            node &= node - 1
        return rows + (index - measured) * self.estimate

    def at(self, row: int) -> int:
        """The message that covers `row`, or the last one when the row is behind the end."""
        count = len(self)
        node = 0
        step = 1 << count.bit_length()
        while step:
            following = node + step
            if following <= count:
                span = self._rows[following] + (step - self._measured[following]) * self.estimate
                if span <= row:
                    node = following
                    row -= span
            step >>= 1
        return min(node, count - 1)

    def measure(self, index: int, height: int) -> None:
        """The message at `index` is `height` rows tall, at least 1."""
        height = max(1, height)
        change = height - self._heights[index]
        if not change:
            return
        newly = not self._heights[index]
        self._heights[index] = height
        node = index + 1
        while node <= len(self):
            self._rows[node] += change
            self._measured[node] += newly
            node += node & -node

    def append(self) -> None:
        """Add a message at the end, not measured yet."""
        self._heights.append(0)
        node = len(self)
        rows = measured = 0
        child = node - 1
        lowest = node & (node - 1)
        while child > lowest:
            rows += self._rows[child]
            measured += self._measured[child]
            child &= child - 1
        self._rows.append(rows)
        self._measured.append(measured)

    def improve_estimate(self) -> bool:
        """Estimate by the mean of what has been measured. Returns whether that changed anything."""
        rows = measured = 0
        node = len(self)
        while node:
            rows += self._rows[node]
            measured += self._measured[node]
            node &= node - 1
        mean = max(1, round(rows / measured)) if measured else self.estimate
        changed = mean != self.estimate
        self.estimate = mean
        return changed
