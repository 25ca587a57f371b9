"""What is written to arrays: rectangles of cells, and their levels in constant memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cells import unpack_levels
from ..target import Target

Bytes = NDArray[np.uint8]


class Box(NamedTuple):
    """Rows [top, bottom) and columns [left, right) of an array."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def cells(self) -> int:
        """How many cells it has."""
        return (self.bottom - self.top) * (self.right - self.left)

    def common(self, other: Box) -> Box | None:
        """The cells of both, if there are any."""
        if not self.meets(other):
            return None
        top, bottom = max(self.top, other.top), min(self.bottom, other.bottom)
        left, right = max(self.left, other.left), min(self.right, other.right)
        return Box(top, bottom, left, right)

    def covers(self, other: Box) -> bool:
        """Whether all cells of another are among these."""
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )

    def meets(self, other: Box) -> bool:
        """Whether there are cells of both."""
        return (
            self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )

    def without(self, hole: Box) -> Iterator[Box]:
        """Boxes of the cells outside of `hole`, which lies inside."""
        if self.top < hole.top:
            yield Box(self.top, hole.top, self.left, self.right)
        if hole.bottom < self.bottom:
            yield Box(hole.bottom, self.bottom, self.left, self.right)
        if self.left < hole.left:
            yield Box(hole.top, hole.bottom, self.left, hole.left)
        if hole.right < self.right:
            yield Box(hole.top, hole.bottom, hole.right, self.right)


class Content(NamedTuple):
    """What a write covers, and the stream that it takes the levels from."""

    box: Box
    base: int
    counts: tuple[int, ...]
    strides: tuple[int, ...]


Written = tuple[Content, ...]
"""What was written to an array, what is still there, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The levels of some arrays, 0 where a cell is not written, each [array, rows, columns]."""

    levels: Bytes
    written: NDArray[np.bool_]


def held_levels(arrays: Sequence[Written], target: Target, constants: Bytes) -> Held:
    """The levels of all cells of some arrays."""
    shape = (len(arrays), target.array.rows, target.array.cols)
    held = Held(np.zeros(shape, np.uint8), np.zeros(shape, np.bool_))
    places = [(index, content.box) for index, written in enumerate(arrays) for content in written]
    contents = [content for written in arrays for content in written]
    levels = _unpacked(contents, target.array.cell_bits, constants)
    for (index, box), cells in zip(places, levels, strict=True):
        place = np.s_[index, box.top : box.bottom, box.left : box.right]
        held.levels[place] = cells
        held.written[place] = True
    return held


def _unpacked(contents: Sequence[Content], bits: int, constants: Bytes) -> Iterator[Bytes]:
    """The levels of each write; those of one size are unpacked together."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (box, *_) in enumerate(contents):
        alike[box.bottom - box.top, box.right - box.left].append(index)
    levels: dict[int, Bytes] = {}
    for (rows, columns), indices in alike.items():
        packed = [_gather(constants, contents[index]).reshape(rows, -1) for index in indices]
        levels.update(zip(indices, unpack_levels(np.stack(packed), columns, bits), strict=True))
    return map(levels.__getitem__, range(len(contents)))


def _gather(memory: Bytes, content: Content) -> Bytes:
    _, base, counts, strides = content
    return np.ndarray(counts, np.uint8, buffer=memory.data, offset=base, strides=strides)
