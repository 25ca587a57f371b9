"""Signed weights as unsigned cell levels.

A weight w of b bits is held as ``w = sum_s coefficient_s * level_s + center`` by

- offset: ``w + 2^(b-1)`` cut in slices of `cell_bits`, lowest bits first; center -2^(b-1);
- two's complement: the lower b-1 bits cut in slices, then the sign bit alone, worth -2^(b-1);
- differential: ``max(w, 0)`` in positive cells less ``max(-w, 0)`` in negative cells, both cut
  in slices; in other columns, or in the rows below the positive cells.

One formula gives every level: ``(v - center) >> log2 |coefficient|``, lowest bits, with v the
weight or its positive or negative part, in two's complement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Matrix, Slice
from imcc.isa.planes import Planes, stacked
from imcc.isa.target import Encoding

from ..ir.sketch import thinned

Levels = NDArray[np.uint8]
Weights = NDArray[np.int8]
_BYTE = 8  # bits


@dataclass(frozen=True, eq=False)
class BlockWeights:
    """The weights of the diagonal blocks of a matrix of `rows` x `cols`, [block, rows, columns].

    All blocks are of one size; what the last one has beyond `rows` and `cols` is 0.
    """

    blocks: Weights
    rows: int
    cols: int

    @classmethod
    def dense(cls, weights: Weights) -> BlockWeights:
        """Weights [K, N] as one block."""
        return cls(weights[np.newaxis], *weights.shape)

    @property
    def distinct(self) -> BlockWeights:
        """Those that differ: of blocks that repeat a block, or columns a column, the first."""
        shown = thinned(self.blocks, kept=1)
        count, rows, cols = self.blocks.shape
        if len(shown) < count:
            return BlockWeights(shown, rows, shown.shape[2])
        return BlockWeights(shown, self.rows, self.cols if shown.shape[2] == cols else 1)

    def clear_rest(self, cells: Levels) -> None:
        """Set levels [slice, block, rows, columns] to 0 where the last block has no weights."""
        count, rows, cols = self.blocks.shape
        cells[:, -1, self.rows - (count - 1) * rows :] = 0
        cells[:, -1, :, self.cols - (count - 1) * cols :] = 0


@dataclass(frozen=True)
class Code:
    """The cells of one weight: slices, digital center, and whether negative cells exist."""

    slices: tuple[Slice, ...]
    center: int
    differential: bool


def choose_code(encoding: Encoding, cell_bits: int, weight_bits: int, weights: Weights) -> Code:
    """The code of weights that have at most `weight_bits` bits, sign included."""
    sign = 1 << (weight_bits - 1)
    if encoding is Encoding.OFFSET:
        return Code(_cut(weight_bits, cell_bits), -sign, differential=False)
    if encoding is Encoding.TWOS_COMPLEMENT:
        slices = (*_cut(weight_bits - 1, cell_bits), Slice(1, -sign))
        return Code(slices, 0, differential=False)
    largest = int(np.abs(weights.astype(np.int16)).max(initial=0))
    magnitude_bits = max(weight_bits - 1, largest.bit_length())
    return Code(_cut(magnitude_bits, cell_bits), 0, differential=True)


def _cut(bits: int, cell_bits: int) -> tuple[Slice, ...]:
    return tuple(Slice(min(cell_bits, bits - low), 1 << low) for low in range(0, bits, cell_bits))


def planes(code: Code, weights: Weights) -> tuple[Levels, Levels | None]:
    """Levels of the positive and, if differential, the negative cells, each [slice, ...]."""
    if not code.differential:
        return _cells(code.slices, weights, code.center), None
    return (
        _cells(code.slices, np.maximum(weights, 0), 0),
        _cells(code.slices, np.maximum(-weights.astype(np.int16), 0), 0),
    )


def block_planes(code: Code, weights: BlockWeights) -> Planes:
    """The levels of all diagonal blocks; 0 where the last one has no weights."""
    positive, negative = planes(code, weights.blocks)
    for cells in (positive, negative):
        if cells is not None:
            weights.clear_rest(cells)
    return Planes(positive, negative)


def code_of(matrix: Matrix) -> Code:
    """How the cells of a matrix stand for weights."""
    return Code(matrix.slices, matrix.center, any(tile.negative for tile in matrix.tiles))


def levels(matrix: Matrix, weights: BlockWeights) -> tuple[Levels, ...]:
    """Levels [rows, cols] of every tile of a matrix with these weights, in order of tiles."""
    cells = block_planes(code_of(matrix), weights)
    result = []
    for tile in matrix.tiles:
        plane = cells.negative if tile.negative and cells.negative is not None else cells.positive
        result.append(np.ascontiguousarray(plane[tile.slice][stacked(matrix, tile)]))
    return tuple(result)


def decode(matrix: Matrix, cells: Sequence[Levels]) -> NDArray[np.int32]:
    """The weights [block, rows, columns] that the levels of all tiles stand for.

    The inverse of `levels`; 0 where the last diagonal block has no weights.
    """
    weights = np.zeros(matrix.stack, np.int32)
    for tile, part in zip(matrix.tiles, cells, strict=True):
        worth = matrix.slices[tile.slice].coefficient * (-1 if tile.negative else 1)
        center = matrix.center if tile.slice == 0 and not tile.negative else 0
        if tile.copy == 0:
            weights[stacked(matrix, tile)] += worth * part.astype(np.int32) + center
    return weights


def _cells(slices: Sequence[Slice], values: NDArray[np.signedinteger], center: int) -> Levels:
    shifts = [abs(piece.coefficient).bit_length() - 1 for piece in slices]
    codes = values.astype(np.int16) - np.int16(center)
    if max(s + piece.bits for s, piece in zip(shifts, slices, strict=True)) <= _BYTE:
        codes = codes.astype(np.uint8)  # the only bits that count, in a fraction of the time
    result = np.empty((len(slices), *values.shape), np.uint8)
    for plane, shift, piece in zip(result, shifts, slices, strict=True):
        plane[...] = (codes >> shift) & ((1 << piece.bits) - 1)
    return result
