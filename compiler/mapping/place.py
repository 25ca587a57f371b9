"""Where rectangles of cells lie: skyline packing in the arrays of one core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from imcc.isa.target import Target

from .partition import Place

Shape = tuple[int, int]  # rows, columns of cells


@dataclass(frozen=True, eq=False)
class Skyline:
    """One array: for each column the first row below everything placed in it.

    `lowest` is the least of `filled`, and `taken` counts the cells above the line.
    """

    filled: NDArray[np.int32]
    rows: int
    lowest: int = 0
    taken: int = 0

    def spot(self, shape: Shape) -> tuple[int, int] | None:
        """The highest, then leftmost (row, column) where a rectangle fits."""
        height, width = shape
        if width > len(self.filled) or self.lowest + height > self.rows:
            return None
        if not self.taken:
            return 0, 0
        tops = sliding_window_view(self.filled, width).max(axis=1)
        col = int(tops.argmin())
        row = int(tops[col])
        return (row, col) if row + height <= self.rows else None

    def with_rectangle(self, shape: Shape, row: int, col: int) -> Skyline:
        """The array after a rectangle is placed."""
        if not self.taken:
            return _first_rectangle(self.rows, len(self.filled), shape)
        filled = self.filled.copy()
        filled[col : col + shape[1]] = row + shape[0]
        return Skyline(filled, self.rows, int(filled.min()), int(filled.sum()))


@lru_cache(1 << 8)
def _empty(rows: int, cols: int) -> Skyline:
    return Skyline(np.zeros(cols, np.int32), rows)


@lru_cache(1 << 8)
def _first_rectangle(rows: int, cols: int, shape: Shape) -> Skyline:
    """An array with one rectangle; most arrays have no more, and few of those differ."""
    filled = np.zeros(cols, np.int32)
    filled[: shape[1]] = shape[0]
    lowest = shape[0] if shape[1] == cols else 0
    return Skyline(filled, rows, lowest, shape[0] * shape[1])


@dataclass(frozen=True, eq=False)
class CoreSpace:
    """The arrays of one core: those in use, out of `arrays`.

    In an `exclusive` one no array has rectangles of two matrices, and none has two rectangles of
    one that has no more of them than there are arrays.
    """

    arrays: int
    rows: int
    cols: int
    used: tuple[Skyline, ...] = ()
    exclusive: bool = False

    @classmethod
    def empty(cls, target: Target, *, exclusive: bool = False) -> CoreSpace:
        """A core of a target before anything is placed."""
        array = target.array
        return _empty_core(target.core.arrays, array.rows, array.cols, exclusive)

    def place(self, shapes: Sequence[Shape]) -> tuple[CoreSpace, tuple[Place, ...]] | None:
        """Place the rectangles of one matrix, or None where they do not all fit.

        Rectangles go, tallest and widest first, on the first array that has none of this matrix
        yet, so that they can work at the same time; where all are taken, on one with the fewest.
        """
        return _placed(self, tuple(shapes))

    def _place(self, shapes: Sequence[Shape]) -> tuple[CoreSpace, tuple[Place, ...]] | None:
        if sum(height * width for height, width in shapes) > self._free_cells():
            return None
        arrays, mine = list(self.used), Counter[int]()
        alone = self.exclusive and len(shapes) <= self.arrays
        least = self.rows - min(height for height, _ in shapes)
        others = [index for index, line in enumerate(arrays) if line.lowest <= least]
        places: dict[int, Place] = {}
        for index in sorted(range(len(shapes)), key=lambda i: (-shapes[i][0], -shapes[i][1], i)):
            place = self._spot(arrays, others, mine, shapes[index], alone)
            if place is None:
                return None
            if place.array in others:
                others.remove(place.array)
            mine[place.array] += 1
            places[index] = place
            grown = arrays[place.array].with_rectangle(shapes[index], place.row, place.col)
            arrays[place.array] = grown
        placed = tuple(places[index] for index in range(len(shapes)))
        return replace(self, used=tuple(arrays)), placed

    def _free_cells(self) -> int:
        return self.arrays * self.rows * self.cols - sum(line.taken for line in self.used)

    def _spot(
        self,
        arrays: list[Skyline],
        others: list[int],
        mine: Counter[int],
        shape: Shape,
        alone: bool,
    ) -> Place | None:
        for array in self._candidates(arrays, others, mine, self.rows - shape[0], alone):
            if array == len(arrays):
                arrays.append(_empty(self.rows, self.cols))
            spot = arrays[array].spot(shape)
            if spot is not None:
                return Place(array, *spot)
        return None

    def _candidates(
        self,
        arrays: list[Skyline],
        others: list[int],
        mine: Counter[int],
        lowest: int,
        alone: bool,
    ) -> Iterator[int]:
        """Arrays with a column that is free below row `lowest`; `others` have none of this matrix.

        There may be more of these, but without room for the lowest of its rectangles.
        """
        if not self.exclusive:
            yield from (array for array in others if arrays[array].lowest <= lowest)
        if len(arrays) < self.arrays:
            yield len(arrays)
        if alone:
            return
        shared = (array for array in mine if arrays[array].lowest <= lowest)
        yield from sorted(shared, key=lambda array: (mine[array], array))


@lru_cache(1 << 4)
def _empty_core(arrays: int, rows: int, cols: int, exclusive: bool) -> CoreSpace:
    return CoreSpace(arrays, rows, cols, exclusive=exclusive)


@lru_cache(1 << 8)
def _placed(
    space: CoreSpace, shapes: tuple[Shape, ...]
) -> tuple[CoreSpace, tuple[Place, ...]] | None:
    """What `CoreSpace.place` gives; networks and searches fill many cores in the same way."""
    return space._place(shapes)
