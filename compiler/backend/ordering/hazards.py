"""Which items must end before another begins: those that touch the same bytes, if one writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .items import Item, Range


@dataclass(slots=True, eq=False)
class _Use:
    """Who used bytes [low, high) last: the last writer of just these, and their readers since."""

    low: int
    high: int
    writer: int | None = None
    readers: list[int] = field(default_factory=list)


class _Ranges:
    """All ranges met so far, and which of them overlap.

    A program has few of them, because buffers are used again, so each pair is compared once.
    """

    def __init__(self) -> None:
        self._uses: dict[Range, _Use] = {}
        self._overlapping: dict[Range, list[_Use]] = {}

    def needs(self, item: Item) -> set[int]:
        """Items that must have ended before this one."""
        needed: set[int | None] = set()
        for read in item.reads:
            needed.update([use.writer for use in self._meeting(read)])
        for written in item.writes:
            for use in self._meeting(written):
                needed.add(use.writer)
                needed.update(use.readers)
        return {index for index in needed if index is not None}

    def note(self, index: int, item: Item) -> None:
        """Note what an item does. What lies inside bytes that it writes is settled by it."""
        for read in item.reads:
            self._meeting(read)
            self._uses[read].readers.append(index)
        for low, high in item.writes:
            for use in self._meeting((low, high)):
                if low <= use.low and use.high <= high:
                    use.writer = None
                    use.readers.clear()
            self._uses[low, high].writer = index

    def _meeting(self, wanted: Range) -> list[_Use]:
        """Uses of ranges that have bytes in common with `wanted`, itself among them."""
        found = self._overlapping.get(wanted)
        if found is None:
            low, high = wanted
            use = self._uses[wanted] = _Use(low, high)
            found = [u for u in self._uses.values() if u.low < high and low < u.high]
            for other in found:
                if other is not use:
                    self._overlapping[other.low, other.high].append(use)
            self._overlapping[wanted] = found
        return found


def needs(items: Sequence[Item]) -> list[list[int]]:
    """For each item of a core those that must end before it; others follow from these."""
    ranges, found = _Ranges(), []
    for index, item in enumerate(items):
        found.append(sorted(ranges.needs(item)))
        ranges.note(index, item)
    return found
