"""Streams: where the elements of an operand lie, in the order in which they are walked."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from .fields import ElementType, Space
from .instructions import STREAM_AXES


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """How a stream walks, wherever it begins, axis 0 slowest: equal ones are one object.

    `count` is the number of elements. The bytes that it can touch are those from `low` up to `high`
    behind where it begins.
    """

    space: Space
    element: ElementType
    counts: tuple[int, ...]
    strides: tuple[int, ...]
    count: int
    low: int
    high: int

    @property
    def is_dense(self) -> bool:
        """Whether its elements follow each other in memory, with nothing between."""
        reach = self.element.size
        for count, stride in zip(reversed(self.counts), reversed(self.strides), strict=True):
            if count > 1 and stride != reach:
                return False
            reach *= count
        return True

    @classmethod
    def of(
        cls,
        space: Space,
        element: ElementType,
        counts: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> Walk:
        """The one object for all walks of this kind; a program has few of them."""
        key = (space, element, counts, strides)
        known = _KNOWN.get(key)
        if known is None:  # of two threads that come here, one gives its object to both
            known = _KNOWN.setdefault(key, cls(*key, prod(counts), *_reach(*key[1:])))
        return known


_KNOWN: dict[tuple[Space, ElementType, tuple[int, ...], tuple[int, ...]], Walk] = {}


def _reach(
    element: ElementType, counts: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, int]:
    """First byte and byte behind the last of a walk from byte 0."""
    low = high = 0
    for count, stride in zip(counts, strides, strict=True):
        if stride < 0:
            low += (count - 1) * stride
        else:
            high += (count - 1) * stride
    return low, high + element.size


class _Begun(NamedTuple):
    """A walk from a byte on."""

    walk: Walk
    base: int


class StreamState(_Begun):
    """A stream register's content: where `prod(counts)` elements lie, axis 0 slowest."""

    __slots__ = ()

    def __new__(
        cls,
        space: Space,
        element: ElementType,
        base: int,
        counts: tuple[int, ...] = (1,) * STREAM_AXES,
        strides: tuple[int, ...] = (0,) * STREAM_AXES,
    ) -> StreamState:
        """The stream that walks so from `base` on."""
        return tuple.__new__(cls, (Walk.of(space, element, counts, strides), base))

    @classmethod
    def begun(cls, walk: Walk, base: int) -> StreamState:
        """The stream of a walk that begins at `base`."""
        return tuple.__new__(cls, (walk, base))

    def __getnewargs__(self) -> tuple[Space, ElementType, int, tuple[int, ...], tuple[int, ...]]:
        """What copies and pickles are made with, so that equal walks stay one object."""
        return self.space, self.element, self.base, self.counts, self.strides

    @property
    def space(self) -> Space:
        """The memory that it walks through."""
        return self.walk.space

    @property
    def element(self) -> ElementType:
        """The type of its elements."""
        return self.walk.element

    @property
    def counts(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return self.walk.counts

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element of each axis to the next."""
        return self.walk.strides

    @property
    def count(self) -> int:  # type: ignore[override]  # its own two items nobody counts
        """Number of elements."""
        return self.walk.count

    @property
    def extent(self) -> tuple[int, int]:
        """First byte and byte behind the last that the stream can touch."""
        walk, base = self
        return base + walk.low, base + walk.high

    def moved(self, delta: int) -> StreamState:
        """The same walk from `delta` bytes further on."""
        return tuple.__new__(StreamState, (self.walk, self.base + delta))

    def along(self, counts: tuple[int, ...], strides: tuple[int, ...]) -> StreamState:
        """The stream from the same byte on along other axes."""
        return StreamState(self.space, self.element, self.base, counts, strides)
