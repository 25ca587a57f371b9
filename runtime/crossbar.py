"""Crossbar arrays: their cells, and the product of a matrix handle, literally.

Formulas: `imcc.isa.matrix`. Everything is an exact integer; the order of summation is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Adc, Matrix, Tile
from imcc.isa.target import Target

from .errors import MachineError

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Crossbar:
    """One array: the level of each cell (u8), and which cells have been programmed."""

    levels: NDArray[np.uint8]
    programmed: NDArray[np.bool_]


class Crossbars:
    """The arrays of all cores, made as they are first written.

    `version` counts the writes to an array, so that what was derived from its cells can be kept
    until the next write.
    """

    def __init__(self, target: Target) -> None:
        self._shape = (target.array.rows, target.array.cols)
        self._arrays: dict[tuple[int, int], Crossbar] = {}
        self._versions: dict[tuple[int, int], int] = {}

    def array(self, core: int, array: int) -> Crossbar:
        """Return an array; one never written has no programmed cell."""
        found = self._arrays.get((core, array))
        if found is None:
            return Crossbar(np.zeros(self._shape, np.uint8), np.zeros(self._shape, np.bool_))
        return found

    def version(self, core: int, array: int) -> int:
        """Return how often the array has been written."""
        return self._versions.get((core, array), 0)

    def write(
        self, core: int, array: int, row: int, column: int, levels: NDArray[np.uint8]
    ) -> None:
        """Program a rectangle of cells from (`row`, `column`)."""
        rows, columns = levels.shape
        if row + rows > self._shape[0] or column + columns > self._shape[1]:
            raise MachineError(
                f"cells [{row}, {row + rows}) x [{column}, {column + columns}) lie outside the "
                f"array of {self._shape[0]} x {self._shape[1]}"
            )
        crossbar = self.array(core, array)
        crossbar.levels[row : row + rows, column : column + columns] = levels
        crossbar.programmed[row : row + rows, column : column + columns] = True
        self._arrays[core, array] = crossbar
        self._versions[core, array] = self.version(core, array) + 1

    def tile(self, core: int, tile: Tile) -> NDArray[np.uint8]:
        """Return the levels [rows, cols] of a tile; raise `MachineError` if not programmed."""
        crossbar = self.array(core, tile.array)
        cells = np.s_[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
        programmed = crossbar.programmed[cells]
        if programmed.shape != (tile.rows, tile.cols) or not programmed.all():
            raise MachineError(
                f"array a{tile.array} of core {core}: cells [{tile.row}, {tile.row + tile.rows}) x "
                f"[{tile.col}, {tile.col + tile.cols}) are read before they are all written"
            )
        return crossbar.levels[cells]


@dataclass(frozen=True)
class Conversion:
    """Columns that are converted together: tile cells, or positive minus negative cells.

    `cells` [rows, cols] are signed levels, `sign` is -1 where the digital side subtracts.
    """

    k: int
    n: int
    slice: int
    sign: int
    cells: NDArray[np.int64]


def conversions(matrix: Matrix, crossbars: Crossbars, copy: int = 0) -> Iterator[Conversion]:
    """Yield the conversions of one input step of a copy of a matrix."""
    tiles = [tile for tile in matrix.tiles if tile.copy == copy]
    partners = {_key(t): t for t in tiles if t.negative and matrix.subtract_analog}
    for tile in tiles:
        cells = crossbars.tile(matrix.core, tile).astype(np.int64)
        if not matrix.subtract_analog:
            yield Conversion(tile.k, tile.n, tile.slice, -1 if tile.negative else 1, cells)
        elif not tile.negative:
            partner = partners.pop(_key(tile), None)
            if partner is not None:
                cells = cells - crossbars.tile(matrix.core, partner)
            yield Conversion(tile.k, tile.n, tile.slice, 1, cells)
    for tile in partners.values():
        cells = crossbars.tile(matrix.core, tile).astype(np.int64)
        yield Conversion(tile.k, tile.n, tile.slice, 1, -cells)


def _key(tile: Tile) -> tuple[int, int, int]:
    return tile.k, tile.n, tile.slice


def copies_agree(matrix: Matrix, crossbars: Crossbars) -> bool:
    """Tell whether the cells of all copies of a matrix hold the same levels."""
    if matrix.copies == 1:
        return True
    found: list[dict[tuple[int, int, int, bool], NDArray[np.uint8]]] = [
        {} for _ in range(matrix.copies)
    ]
    for tile in matrix.tiles:
        found[tile.copy][(*_key(tile), tile.negative)] = crossbars.tile(matrix.core, tile)
    first = found[0]
    return all(
        copy.keys() == first.keys()
        and all(np.array_equal(levels, first[key]) for key, levels in copy.items())
        for copy in found
    )


def convert(analog: Integers, adc: Adc) -> Integers:
    """Return what a converter makes of column sums; one of 0 bits is exact."""
    if adc.bits == 0:
        return analog
    code = (analog - adc.low + adc.step // 2) // adc.step
    return np.clip(code, 0, (1 << adc.bits) - 1) * adc.step + adc.low


def literal_product(matrix: Matrix, crossbars: Crossbars, x: Integers) -> Integers:
    """Return the accumulators [..., M, N] of the M windows of each input, `x` [..., M, K].

    Inputs are cut to the `input_bits` that the input drivers take. Each copy of the matrix takes
    its windows, step by step, tile by tile.
    """
    x = x & ((1 << matrix.input_bits) - 1)
    y = np.zeros((*x.shape[:-1], matrix.cols), np.int64)
    for copy in range(matrix.copies):
        dealt = np.s_[..., copy :: matrix.copies, :]
        y[dealt] = _product_of_copy(matrix, crossbars, x[dealt], copy)
    return y


def _product_of_copy(matrix: Matrix, crossbars: Crossbars, x: Integers, copy: int) -> Integers:
    y = matrix.center * _sums_of_inputs(matrix, x)
    mask = (1 << matrix.step_bits) - 1
    for conversion in conversions(matrix, crossbars, copy):
        rows, columns = conversion.cells.shape
        driven = x[..., conversion.k : conversion.k + rows]
        total = np.zeros((*x.shape[:-1], columns), np.int64)
        for step in range(matrix.steps):
            digits = driven >> (matrix.step_bits * step) & mask
            # float64 holds these sums exactly (below 2^53) and has a fast product.
            sums = digits.astype(np.float64) @ conversion.cells.astype(np.float64)
            analog = sums.astype(np.int64)
            total += convert(analog, matrix.adcs[conversion.slice]) << (matrix.step_bits * step)
        weight = conversion.sign * matrix.slices[conversion.slice].coefficient
        y[..., conversion.n : conversion.n + columns] += weight * total
    return y


def _sums_of_inputs(matrix: Matrix, x: Integers) -> Integers:
    """Return for each column the sum of the inputs of the rows in its diagonal block."""
    _, rows, cols = matrix.stack
    sums = np.add.reduceat(x, range(0, matrix.rows, rows), axis=-1)
    return np.repeat(sums, cols, axis=-1)[..., : matrix.cols]
