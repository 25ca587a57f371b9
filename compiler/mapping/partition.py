"""Cutting one weight matrix into rectangles that fit an array.

Rows are cut in row blocks that are driven together; output channels in strips, each with all
slices (and, for differential columns, all negative cells) side by side. A rectangle is one row
block of one strip; only its place is left to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imcc.isa.bound import accumulator_bound
from imcc.isa.matrix import Adc, Matrix, Tile
from imcc.isa.target import Encoding, Target

from ..errors import UnsupportedError
from .adc import Columns, RowBlock, choose
from .encoding import (
    Code,
    Weights,
    choose_code,
    distinct,
    levels,
    planes,
    shown_columns,
)
from .options import AdcPolicy

ACCUMULATOR_LIMIT = 1 << 31


@dataclass(frozen=True)
class Place:
    """Where a rectangle lies: its first cell."""

    array: int
    row: int
    col: int


@dataclass(frozen=True, eq=False)
class Cut:
    """A matrix of weights [K, N] in rectangles of cells.

    `strips` are (first output, outputs). `stacked` puts negative cells below the positive ones.
    """

    weights: Weights
    input_bits: int
    step_bits: int
    code: Code
    stacked: bool
    subtract_analog: bool
    blocks: tuple[RowBlock, ...]
    strips: tuple[tuple[int, int], ...]
    adcs: tuple[Adc, ...]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of cells of each rectangle, strip by strip, blocks innermost."""
        tall = 2 if self.stacked else 1
        wide = cells_per_weight(self.code, self.stacked)
        return tuple(
            (tall * rows, wide * cols) for _, cols in self.strips for _, rows in self.blocks
        )

    def matrix(self, core: int, places: Sequence[Place]) -> Matrix:
        """The matrix with its rectangles at these places, and the bound of its accumulators.

        Raises `UnsupportedError` where an accumulator could overflow 32 bits.
        """
        corners = [(strip, block) for strip in self.strips for block in self.blocks]
        tiles = tuple(
            tile
            for (strip, block), place in zip(corners, places, strict=True)
            for tile in self._tiles(strip, block, place)
        )
        matrix = Matrix(
            core=core,
            rows=self.weights.shape[0],
            cols=self.weights.shape[1],
            input_bits=self.input_bits,
            step_bits=self.step_bits,
            slices=self.code.slices,
            adcs=self.adcs,
            tiles=tiles,
            center=self.code.center,
            subtract_analog=self.subtract_analog,
            bound=0,
        )
        shown = shown_columns(matrix, self.weights)
        cells = dict(zip(shown.tiles, levels(shown, distinct(self.weights)), strict=True))
        return _bounded(replace(matrix, bound=accumulator_bound(shown, cells.__getitem__)))

    def _tiles(self, strip: tuple[int, int], block: RowBlock, place: Place) -> Iterator[Tile]:
        (n, cols), (k, rows), count = strip, block, len(self.code.slices)
        for negative in (False, True) if self.code.differential else (False,):
            below = rows if negative and self.stacked else 0
            beside = cols * count if negative and not self.stacked else 0
            for index in range(count):
                col = place.col + beside + index * cols
                yield Tile(place.array, place.row + below, col, k, rows, n, cols, index, negative)


def _bounded(matrix: Matrix) -> Matrix:
    if matrix.bound >= ACCUMULATOR_LIMIT:
        raise UnsupportedError(
            f"sums of {matrix.rows} products can reach {matrix.bound:,}, and accumulators have "
            "32 bits; use fewer weight bits or activation bits"
        )
    return matrix


def cells_per_weight(code: Code, stacked: bool) -> int:
    """Cells of one row that a weight takes."""
    return len(code.slices) * (2 if code.differential and not stacked else 1)


def is_stacked(target: Target) -> bool:
    """Whether negative cells lie in the rows below the positive ones."""
    return target.array.encoding is Encoding.DIFFERENTIAL_ROWS


def logical_rows(target: Target) -> int:
    """Matrix rows that one array holds."""
    return target.array.rows // 2 if is_stacked(target) else target.array.rows


def cut(
    weights: Weights, weight_bits: int, input_bits: int, target: Target, policy: AdcPolicy
) -> Cut:
    """Cut weights [K, N] for the arrays of a target.

    Raises `UnsupportedError` where a weight has more slices than an array has columns.
    """
    array = target.array
    stacked = is_stacked(target)
    code = choose_code(array.encoding, array.cell_bits, weight_bits, distinct(weights))
    columns = _columns(code, distinct(weights), input_bits, target)
    blocks, adcs = choose(columns, logical_rows(target), policy)
    return Cut(
        weights=weights,
        input_bits=input_bits,
        step_bits=array.step_bits,
        code=code,
        stacked=stacked,
        subtract_analog=array.subtract_analog,
        blocks=blocks,
        strips=_strips(weights.shape[1], array.cols, cells_per_weight(code, stacked)),
        adcs=adcs,
    )


def _columns(code: Code, weights: Weights, input_bits: int, target: Target) -> Columns:
    positive, negative = planes(code, weights)
    if negative is not None and not target.array.subtract_analog:
        positive, negative = np.concatenate([positive, negative], axis=2), None
    return Columns(positive, negative, input_bits, target.array.step_bits, target.adc.bits)


def _strips(cols: int, array_cols: int, cells: int) -> tuple[tuple[int, int], ...]:
    width = array_cols // cells
    if width == 0:
        raise UnsupportedError(
            f"a weight takes {cells} cells of a row and an array has {array_cols} columns; "
            "use fewer weight bits, or cells of more bits (--set array.cell_bits=...)"
        )
    return tuple((n, min(width, cols - n)) for n in range(0, cols, width))
