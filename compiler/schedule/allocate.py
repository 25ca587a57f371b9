"""Addresses for intervals: largest first, each as low as it can lie.

The order by falling size is the greedy-by-size strategy for memory planning of Pisarchyk and
Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020 (arXiv 2001.03288).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from .scratch import ALIGNMENT

_KEPT = (1.0, 0.3, 0.1, 0.03)  # tasks, as a part of all of them


class Interval(NamedTuple):
    """`size` bytes needed from task `first` to task `last`, both included."""

    key: tuple[str, int]
    size: int
    first: int
    last: int


class Placed(NamedTuple):
    """An interval with its address."""

    interval: Interval
    address: int

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.address + self.interval.size

    def alive(self, first: int, last: int) -> bool:
        """Whether the interval is needed at any time of [first, last]."""
        return self.interval.first <= last and first <= self.interval.last


def allocate(intervals: Iterable[Interval]) -> tuple[Placed, ...]:
    """Place all intervals; those that live at the same time do not overlap."""
    ordered = sorted(intervals, key=lambda i: (-i.size, i.first, i.key))
    memory = _Memory(len(ordered))
    return tuple(Placed(interval, memory.place(interval)) for interval in ordered)


class _Memory:
    """What is placed so far, in columns by ascending address.

    Each search looks at all of it, in whole arrays: tens of thousands of intervals, as the readers
    of one tensor make them, may all live at one time.
    """

    def __init__(self, most: int) -> None:
        self._columns = np.zeros((4, most), np.int64)
        self._count = 0

    def place(self, interval: Interval) -> int:
        """Take the lowest address between those that live at the same time; returns it."""
        address, count = self._lowest(interval), self._count
        index = int(self._columns[0, :count].searchsorted(address, side="right"))
        self._columns[:, index + 1 : count + 1] = self._columns[:, index:count]
        stop = aligned(address + interval.size)
        self._columns[:, index] = address, stop, interval.first, interval.last
        self._count += 1
        return address

    def _lowest(self, interval: Interval) -> int:
        starts, stops, first, last = self._columns[:, : self._count]
        (meets,) = ((first <= interval.last) & (last >= interval.first)).nonzero()
        begins = starts[meets]
        if not len(begins) or begins[0] >= interval.size:
            return 0
        free = np.maximum.accumulate(stops[meets])
        fits = free[:-1] + interval.size <= begins[1:]
        index = int(fits.argmax()) if len(fits) else 0
        return int(free[index] if len(fits) and fits[index] else free[-1])


def allocate_apart(intervals: Sequence[Interval], limit: int) -> tuple[Placed, ...]:
    """Place all intervals, and use memory again as late as `limit` bytes allow.

    What shares memory cannot pass each other when instructions are put in order; so everything
    is kept for some tasks more than it is needed, as many as fit.
    """
    longest = max((interval.last for interval in intervals), default=0) + 1
    for part in _KEPT:
        more = int(longest * part)
        kept = [Interval(one.key, one.size, one.first, one.last + more) for one in intervals]
        if most_alive(kept) <= limit and peak(placed := allocate(kept)) <= limit:
            return placed
    return allocate(intervals)


def fit(intervals: Sequence[Interval], limit: int) -> bool:
    """Whether `allocate` needs at most `limit` bytes.

    Most answers need no allocation: what fits side by side fits, and what lives at one time and is
    more than the limit does not.
    """
    if sum(aligned(interval.size) for interval in intervals) <= limit:
        return True
    return most_alive(intervals) <= limit and peak(allocate(intervals)) <= limit


def most_alive(intervals: Sequence[Interval]) -> int:
    """The most bytes that are needed at one time."""
    changes = [(i.first, i.size) for i in intervals] + [(i.last + 1, -i.size) for i in intervals]
    return max(accumulate(size for _, size in sorted(changes)), default=0)


def peak(placed: Sequence[Placed]) -> int:
    """Bytes of memory that the placement needs."""
    return max((p.end for p in placed), default=0)


class AliveOnCore:
    """What lives on a core at one time, for times that ascend."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        self._coming = sorted(placed, key=lambda p: -p.interval.first)
        self._alive: list[tuple[int, int, int]] = []  # address, first free one behind, last task

    def gaps(self, time: int, limit: int) -> list[tuple[int, int]]:
        """The free runs of memory below `limit` at `time`: first address, and first one behind.

        `time` must not be before the last one asked for.
        """
        self._go_to(time)
        found, start = [], 0
        for address, stop, _ in self._alive:
            if address > start:
                found.append((start, address))
            start = max(start, stop)
        return [*found, (start, limit)] if start < limit else found

    def _go_to(self, time: int) -> None:
        """Add what lives by then, in order of address, and drop what does not any more."""
        come = False
        while self._coming and self._coming[-1].interval.first <= time:
            placed = self._coming.pop()
            self._alive.append((placed.address, aligned(placed.end), placed.interval.last))
            come = True
        self._alive = [one for one in self._alive if one[2] >= time]
        if come:
            self._alive.sort()


def aligned(address: int) -> int:
    """The next address, or size, that is a multiple of the alignment."""
    return -(-address // ALIGNMENT) * ALIGNMENT
