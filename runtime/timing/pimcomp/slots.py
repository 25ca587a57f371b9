"""Time on a shared resource, a nanosecond at a time, first come first served."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Slots:
    """Which nanoseconds are taken. Whoever asks gets the first free ones, in pieces if need be."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # of runs that are taken, apart from each other
        self._ends: list[int] = []
        self.taken = 0

    def take(self, time: int, count: int) -> int:
        """Take the first `count` free ns from `time` on; returns the ns until the last is over."""
        if not count:
            return 0
        self.taken += count
        first = last = bisect_left(self._ends, time)  # the runs that are passed or touched
        at, left = time, count
        while last < len(self._starts) and self._starts[last] < at + left:
            left -= max(0, self._starts[last] - at)
            at = max(at, self._ends[last])
            last += 1
        end = at + left
        start = min(time, self._starts[first]) if first < last else time
        self._starts[first:last], self._ends[first:last] = [start], [end]
        return end - time

    def is_taken(self, time: int) -> bool:
        """Whether nanosecond `time` is taken."""
        index = bisect_right(self._starts, time) - 1
        return index >= 0 and time < self._ends[index]
