"""Which items must end before another begins: those that touch the same bytes, if one writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .items import Item, Range


@dataclass(slots=True)
class _Use:
    """Who used a range last: the last writer of just this range, and its readers since."""

    writer: int | None = None
    readers: list[int] = field(default_factory=list)


class _Ranges:
    """All ranges met so far, and which of them overlap.

    A program has few of them, because buffers are used again, so each pair is compared once.
    """

    def __init__(self) -> None:
        self.uses: dict[Range, _Use] = {}
        self._overlapping: dict[Range, list[Range]] = {}

    def overlapping(self, wanted: Range) -> list[Range]:
        """Ranges that have bytes in common with `wanted`, itself among them."""
        if wanted not in self._overlapping:
            low, high = wanted
            found = [other for other in self.uses if other[0] < high and low < other[1]]
            for other in found:
                self._overlapping[other].append(wanted)
            self._overlapping[wanted] = [*found, wanted]
            self.uses[wanted] = _Use()
        return self._overlapping[wanted]

    def needs(self, item: Item) -> set[int]:
        """Items that must have ended before this one."""
        needed: set[int] = set()
        for read in item.reads:
            needed.update(self._writers(read))
        for written in item.writes:
            needed.update(self._writers(written))
            for other in self.overlapping(written):
                needed.update(self.uses[other].readers)
        return needed

    def note(self, index: int, item: Item) -> None:
        """Note what an item does. What lies inside bytes that it writes is settled by it."""
        for read in item.reads:
            self.overlapping(read)
            self.uses[read].readers.append(index)
        for low, high in item.writes:
            for other in self.overlapping((low, high)):
                if low <= other[0] and other[1] <= high:
                    use = self.uses[other]
                    use.writer = None
                    use.readers.clear()
            self.uses[low, high].writer = index

    def _writers(self, wanted: Range) -> list[int]:
        uses = (self.uses[other].writer for other in self.overlapping(wanted))
        return [writer for writer in uses if writer is not None]


def needs(items: Sequence[Item]) -> list[list[int]]:
    """For each item of a core those that must end before it; others follow from these."""
    ranges, found = _Ranges(), []
    for index, item in enumerate(items):
        found.append(sorted(ranges.needs(item)))
        ranges.note(index, item)
    return found
