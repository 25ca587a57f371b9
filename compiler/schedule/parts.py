"""A value in parts: runs of rows, each cut in strips of columns where it is a map."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from operator import itemgetter

from ..ir.graph import Value
from ..ir.ops.rows import Box, Span

COLUMNS = 3
"""The axis of a map that strips are cut along."""


@dataclass(frozen=True)
class Parts:
    """The parts of a value along `axes`: rows, and for a map in strips its columns.

    `cuts` has the spans along each of the axes; `values` the parts, those of one run of rows
    behind each other.
    """

    axes: tuple[int, ...]
    cuts: tuple[tuple[Span, ...], ...]
    values: tuple[Value, ...]

    @property
    def rows(self) -> tuple[Span, ...]:
        """The runs of rows."""
        return self.cuts[0]

    @property
    def strips(self) -> tuple[Span, ...] | None:
        """The strips of columns, if there are any."""
        return self.cuts[1] if len(self.cuts) > 1 else None

    def part(self, box: Box) -> Value | None:
        """The part that is just a box, if there is one."""
        places = []
        for cut, span in zip(self.cuts, box, strict=True):
            place = bisect_left(cut, span)
            if place == len(cut) or cut[place] != span:
                return None
            places.append(place)
        return self.values[self._number(places)]

    def over(self, box: Box) -> list[tuple[Value, Box, Box]]:
        """The parts that a box lies in: value, what it holds, and what of that is meant."""
        met = [_met(cut, span) for cut, span in zip(self.cuts, box, strict=True)]
        found = []
        for places in product(*met):
            held = tuple(span for _, span in places)
            meant = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(held, box, strict=True))
            found.append((self.values[self._number([at for at, _ in places])], held, meant))
        return found

    def _number(self, places: Sequence[int]) -> int:
        number = 0
        for place, cut in zip(places, self.cuts, strict=True):
            number = number * len(cut) + place
        return number

    def with_axes(self, value: Value, axes: Iterable[int]) -> Parts | None:
        """The same parts along more axes, behind the rows, along which each has all."""
        more = tuple(sorted({*self.axes, *axes}))
        if more == self.axes:
            return self
        if more[0] != self.axes[0]:
            return None
        known = dict(zip(self.axes, self.cuts, strict=True))
        cuts = tuple(known.get(axis, ((0, value.type.shape[axis]),)) for axis in more)
        return Parts(more, cuts, self.values)

    def box(self, value: Value, taken: Mapping[int, Span]) -> Box:
        """A box along the axes of the parts: the spans in `taken`, else all there is."""
        return full_box(value, self.axes, taken)


def _met(cut: Sequence[Span], wanted: Span) -> list[tuple[int, Span]]:
    """The spans of a cut, which ascend, that have indices in common with another."""
    first = bisect_right(cut, wanted[0], key=itemgetter(1))
    behind = bisect_left(cut, wanted[1], key=itemgetter(0))
    return [(at, cut[at]) for at in range(first, behind)]


def full_box(value: Value, axes: Sequence[int], taken: Mapping[int, Span]) -> Box:
    """A span along each of the axes: that in `taken`, or all."""
    return tuple(taken.get(axis, (0, value.type.shape[axis])) for axis in axes)


def shifted(box: Box, origin: Sequence[int]) -> Box:
    """A box with its indices counted from an origin."""
    return tuple((a - at, b - at) for (a, b), at in zip(box, origin, strict=True))


def starts(box: Box) -> tuple[int, ...]:
    """Where a box begins."""
    return tuple(start for start, _ in box)


def volume(box: Box) -> int:
    """Elements of a box along its axes."""
    count = 1
    for start, stop in box:
        count *= stop - start
    return count
