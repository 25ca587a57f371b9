"""Addresses for intervals: largest first, each as low as it can lie.

The order by falling size is the greedy-by-size strategy for memory planning of Pisarchyk and
Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020 (arXiv 2001.03288).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .scratch import ALIGNMENT


@dataclass(frozen=True)
class Interval:
    """`size` bytes needed from task `first` to task `last`, both included."""

    key: tuple[str, int]
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Placed:
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
    placed: list[Placed] = []
    for interval in sorted(intervals, key=lambda i: (-i.size, i.first, i.key)):
        neighbours = [p for p in placed if p.alive(interval.first, interval.last)]
        placed.append(Placed(interval, _lowest(neighbours, interval.size)))
    return tuple(placed)


def peak(placed: Sequence[Placed]) -> int:
    """Bytes of memory that the placement needs."""
    return max((p.end for p in placed), default=0)


def largest_gap(placed: Sequence[Placed], task: int, limit: int) -> tuple[int, int]:
    """Address and size of the largest free run of memory below `limit` during `task`."""
    best = (0, 0)
    start = 0
    for p in sorted((p for p in placed if p.alive(task, task)), key=lambda p: p.address):
        best = max(best, (start, p.address - start), key=lambda gap: gap[1])
        start = max(start, _aligned(p.end))
    return max(best, (start, limit - start), key=lambda gap: gap[1])


def _lowest(neighbours: Sequence[Placed], size: int) -> int:
    address = 0
    for p in sorted(neighbours, key=lambda p: p.address):
        if address + size <= p.address:
            return address
        address = max(address, _aligned(p.end))
    return address


def _aligned(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT
