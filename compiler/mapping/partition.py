"""Cutting one weight matrix into rectangles that fit an array.

Rows are cut in row blocks that are driven together; output channels in strips, each with all
slices (and, for differential columns, all negative cells) side by side. A rectangle is one row
block of one strip of one diagonal block; only its place is left to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from imcc.isa.bound import accumulator_bound
from imcc.isa.matrix import Adc, Matrix, Tile
from imcc.isa.target import Encoding, Target

from ..errors import UnsupportedError
from .adc import Columns, RowBlock, choose
from .encoding import BlockWeights, Code, Levels, block_planes, choose_code
from .options import AdcPolicy

ACCUMULATOR_LIMIT = 1 << 31


class Place(NamedTuple):
    """Where a rectangle lies: its first cell."""

    array: int
    row: int
    col: int


class _Corner(NamedTuple):
    """A rectangle of weights [k, k+rows) x [n, n+cols)."""

    k: int
    rows: int
    n: int
    cols: int


@dataclass(frozen=True, eq=False)
class Cut:
    """A block-diagonal matrix in rectangles of cells.

    `row_blocks` and `strips` (first output, outputs) are those of a diagonal block; the last
    diagonal block has them as far as it goes. `stacked` puts negative cells below the positive
    ones.
    """

    weights: BlockWeights
    input_bits: int
    step_bits: int
    code: Code
    stacked: bool
    subtract_analog: bool
    row_blocks: tuple[RowBlock, ...]
    strips: tuple[tuple[int, int], ...]
    adcs: tuple[Adc, ...]

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of cells of each rectangle, strip by strip, row blocks innermost."""
        tall = 2 if self.stacked else 1
        wide = cells_per_weight(self.code, self.stacked)
        return tuple((tall * corner.rows, wide * corner.cols) for corner in self._corners)

    @property
    def row_block_count(self) -> int:
        """Row blocks of all diagonal blocks."""
        return len({corner.k for corner in self._corners})

    @cached_property
    def bound(self) -> int:
        """The largest magnitude of an accumulator."""
        strip = [corner for corner in self._corners if corner.n == 0]
        tiles = tuple(next(_tiles(self._held, corner, Place(0, 0, 0), 0)) for corner in strip)
        planes = block_planes(self.code, self.weights.distinct)
        return accumulator_bound(self._matrix(0, tiles, 0, 1), planes)

    def matrix(self, core: int, places: Sequence[Place], copies: int = 1) -> Matrix:
        """The matrix with its rectangles at these places, one copy's places after the other's.

        Raises `UnsupportedError` where an accumulator could overflow 32 bits.
        """
        tiles = _tiled(self._held, self._corners, tuple(places), copies)
        return _bounded(self._matrix(core, tiles, self.bound, copies))

    @property
    def _held(self) -> _Held:
        return _Held(len(self.code.slices), self.code.differential, self.stacked)

    def _matrix(self, core: int, tiles: tuple[Tile, ...], bound: int, copies: int) -> Matrix:
        _, block_rows, block_cols = self.weights.blocks.shape
        return Matrix(
            core=core,
            rows=self.weights.rows,
            cols=self.weights.cols,
            input_bits=self.input_bits,
            step_bits=self.step_bits,
            slices=self.code.slices,
            adcs=self.adcs,
            tiles=tiles,
            center=self.code.center,
            subtract_analog=self.subtract_analog,
            bound=bound,
            block_rows=block_rows,
            block_cols=block_cols,
            copies=copies,
        )

    @cached_property
    def _corners(self) -> tuple[_Corner, ...]:
        """The rectangles: diagonal block by block, strip by strip, row blocks innermost."""
        count, block_rows, block_cols = self.weights.blocks.shape
        found = []
        for k0, n0 in zip(
            range(0, count * block_rows, block_rows),
            range(0, count * block_cols, block_cols),
            strict=True,
        ):
            for (n, cols), (k, rows) in product(self.strips, self.row_blocks):
                rows, cols = (
                    min(rows, self.weights.rows - k0 - k),
                    min(cols, self.weights.cols - n0 - n),
                )
                if min(rows, cols) > 0:
                    found.append(_Corner(k0 + k, rows, n0 + n, cols))
        return tuple(found)


class _Held(NamedTuple):
    """The cells of a weight: `slices` of them, and as many negative ones, beside or below."""

    slices: int
    differential: bool
    stacked: bool


@lru_cache(1 << 8)
def _tiled(
    held: _Held, corners: tuple[_Corner, ...], places: tuple[Place, ...], copies: int
) -> tuple[Tile, ...]:
    """All tiles; products of one size mostly have them at the same places of their cores."""
    every = ((copy, corner) for copy in range(copies) for corner in corners)
    return tuple(
        tile
        for (copy, corner), place in zip(every, places, strict=True)
        for tile in _tiles(held, corner, place, copy)
    )


def _tiles(held: _Held, corner: _Corner, place: Place, copy: int) -> Iterator[Tile]:
    """The tiles of a rectangle."""
    k, rows, n, cols = corner
    for negative in (False, True) if held.differential else (False,):
        row = place.row + (rows if negative and held.stacked else 0)
        beside = cols * held.slices if negative and not held.stacked else 0
        for index in range(held.slices):
            col = place.col + beside + index * cols
            yield Tile(place.array, row, col, k, rows, n, cols, index, negative, copy)


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
    weights: BlockWeights, weight_bits: int, input_bits: int, target: Target, policy: AdcPolicy
) -> Cut:
    """Cut the weights of a matrix for the arrays of a target.

    All diagonal blocks have the same row blocks, chosen for all of their columns together.
    Raises `UnsupportedError` where a weight has more slices than an array has columns.
    """
    array = target.array
    stacked = is_stacked(target)
    code = choose_code(array.encoding, array.cell_bits, weight_bits, weights.distinct.blocks)
    columns = _columns(code, weights.distinct, input_bits, target)
    row_blocks, adcs = choose(columns, logical_rows(target), policy)
    return Cut(
        weights=weights,
        input_bits=input_bits,
        step_bits=array.step_bits,
        code=code,
        stacked=stacked,
        subtract_analog=array.subtract_analog,
        row_blocks=row_blocks,
        strips=_strips(weights.blocks.shape[2], array.cols, cells_per_weight(code, stacked)),
        adcs=adcs,
    )


def _columns(code: Code, weights: BlockWeights, input_bits: int, target: Target) -> Columns:
    cells = block_planes(code, weights)
    positive = _side_by_side(cells.positive)
    negative = None if cells.negative is None else _side_by_side(cells.negative)
    if negative is not None and not target.array.subtract_analog:
        positive, negative = np.concatenate([positive, negative], axis=2), None
    return Columns(positive, negative, input_bits, target.array.step_bits, target.adc.bits)


def _side_by_side(cells: Levels) -> Levels:
    """Levels [slice, K, M] of those of diagonal blocks, [slice, block, rows, columns]."""
    slices, _, rows, _ = cells.shape
    return cells.swapaxes(1, 2).reshape(slices, rows, -1)


def _strips(cols: int, array_cols: int, cells: int) -> tuple[tuple[int, int], ...]:
    width = array_cols // cells
    if width == 0:
        raise UnsupportedError(
            f"a weight takes {cells} cells of a row and an array has {array_cols} columns; "
            "use fewer weight bits, or cells of more bits (--set array.cell_bits=...)"
        )
    return tuple((n, min(width, cols - n)) for n in range(0, cols, width))
