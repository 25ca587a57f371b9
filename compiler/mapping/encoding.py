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
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Matrix, Slice
from imcc.isa.target import Encoding

Levels = NDArray[np.uint8]
Weights = NDArray[np.int8]


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
    """Levels of the positive and, if differential, the negative cells, each [slice, K, N]."""
    if not code.differential:
        return _cells(code.slices, weights, code.center), None
    return (
        _cells(code.slices, np.maximum(weights, 0), 0),
        _cells(code.slices, np.maximum(-weights.astype(np.int16), 0), 0),
    )


def levels(matrix: Matrix, weights: Weights) -> tuple[Levels, ...]:
    """Levels [rows, cols] of every tile of a matrix with weights [K, N], in order of tiles."""
    code = Code(matrix.slices, matrix.center, any(tile.negative for tile in matrix.tiles))
    positive, negative = planes(code, weights)
    result = []
    for tile in matrix.tiles:
        cells = negative if tile.negative and negative is not None else positive
        part = cells[tile.slice, tile.k : tile.k + tile.rows, tile.n : tile.n + tile.cols]
        result.append(np.ascontiguousarray(part))
    return tuple(result)


def distinct(weights: Weights) -> Weights:
    """The columns of weights [K, N] that differ: one of weights that repeat a column."""
    return weights[:, :1] if weights.strides[1] == 0 else weights


def shown_columns(matrix: Matrix, weights: Weights) -> Matrix:
    """The matrix of the `distinct` columns, with the tiles that hold them."""
    if weights.strides[1]:
        return matrix
    tiles = tuple(replace(tile, cols=1) for tile in matrix.tiles if tile.n == 0)
    return replace(matrix, cols=1, tiles=tiles)


def decode(matrix: Matrix, cells: Sequence[Levels]) -> NDArray[np.int32]:
    """The weights [K, N] that the levels of all tiles stand for: the inverse of `levels`."""
    weights = np.full((matrix.rows, matrix.cols), matrix.center, np.int32)
    for tile, part in zip(matrix.tiles, cells, strict=True):
        worth = matrix.slices[tile.slice].coefficient * (-1 if tile.negative else 1)
        rows, cols = slice(tile.k, tile.k + tile.rows), slice(tile.n, tile.n + tile.cols)
        weights[rows, cols] += worth * part.astype(np.int32)
    return weights


def _cells(slices: Sequence[Slice], values: NDArray[np.signedinteger], center: int) -> Levels:
    codes = values.astype(np.int16) - np.int16(center)
    result = np.empty((len(slices), *values.shape), np.uint8)
    for plane, piece in zip(result, slices, strict=True):
        shift = abs(piece.coefficient).bit_length() - 1
        plane[...] = (codes >> shift) & ((1 << piece.bits) - 1)
    return result
