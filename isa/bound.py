"""The largest magnitude that an accumulator of a matrix can take, from its cell levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .matrix import Adc, Matrix, Tile

Integers = NDArray[np.int64]
Cells = Callable[[Tile], NDArray[np.uint8]]


@dataclass(frozen=True)
class Conversion:
    """Columns that are converted together: signed levels [rows, cols] from weight (k, n).

    `factor` is what one converted level is worth in the accumulator.
    """

    k: int
    n: int
    adc: Adc
    factor: int
    levels: Integers


def conversions(matrix: Matrix, cells: Cells) -> Iterator[Conversion]:
    """Yield the conversions of one input step; `cells` gives the levels [rows, cols] of a tile."""
    partners = {(t.k, t.n, t.slice): t for t in matrix.tiles if t.negative}
    for tile in matrix.tiles:
        if tile.negative and matrix.subtract_analog:
            continue
        levels = cells(tile).astype(np.int64)
        if matrix.subtract_analog and (partner := partners.get((tile.k, tile.n, tile.slice))):
            levels = levels - cells(partner)
        coefficient = matrix.slices[tile.slice].coefficient
        sign = -1 if tile.negative else 1
        yield Conversion(tile.k, tile.n, matrix.adcs[tile.slice], sign * coefficient, levels)


def accumulator_bound(matrix: Matrix, cells: Cells) -> int:
    """Return the largest accumulator magnitude for any input of `input_bits` bits.

    Exact where no converter clips or rounds; otherwise the sum of the extremes of the converted
    values, each for itself (formulas: `imcc.isa.matrix`).
    """
    parts = list(conversions(matrix, cells))
    if all(_lossless(matrix, part) for part in parts):
        return _exact_bound(matrix, parts)
    return _converted_bound(matrix, parts)


def convert(analog: Integers, adc: Adc) -> Integers:
    """Return what a converter makes of column sums; one of 0 bits is exact."""
    if adc.bits == 0:
        return analog
    code = (analog - adc.low + adc.step // 2) // adc.step
    return np.clip(code, 0, (1 << adc.bits) - 1) * adc.step + adc.low


def _digits(matrix: Matrix) -> list[int]:
    """The largest digit of each input step."""
    largest, mask = (1 << matrix.input_bits) - 1, (1 << matrix.step_bits) - 1
    return [largest >> low & mask for low in range(0, matrix.input_bits, matrix.step_bits)]


def _column_range(levels: Integers) -> tuple[Integers, Integers]:
    """Sums of the negative and of the positive levels of each column."""
    return np.minimum(levels, 0).sum(axis=0), np.maximum(levels, 0).sum(axis=0)


def _lossless(matrix: Matrix, part: Conversion) -> bool:
    if part.adc.bits == 0:
        return True
    low, high = _column_range(part.levels)
    digit = max(_digits(matrix))
    top = part.adc.low + (1 << part.adc.bits) - 1
    return part.adc.step == 1 and part.adc.low <= digit * low.min() and digit * high.max() <= top


def _exact_bound(matrix: Matrix, parts: list[Conversion]) -> int:
    weights = np.full((matrix.rows, matrix.cols), matrix.center, np.int64)
    for part in parts:
        rows, cols = part.levels.shape
        weights[part.k : part.k + rows, part.n : part.n + cols] += part.factor * part.levels
    low, high = _column_range(weights)
    return int(max(high.max(), -low.min())) * ((1 << matrix.input_bits) - 1)


def _converted_bound(matrix: Matrix, parts: list[Conversion]) -> int:
    center = matrix.center * matrix.rows * ((1 << matrix.input_bits) - 1)
    low = np.full(matrix.cols, min(center, 0), np.int64)
    high = np.full(matrix.cols, max(center, 0), np.int64)
    for part in parts:
        columns = slice(part.n, part.n + part.levels.shape[1])
        negative, positive = _column_range(part.levels)
        for step, digit in enumerate(_digits(matrix)):
            worth = part.factor << (matrix.step_bits * step)
            one = convert(negative * digit, part.adc) * worth
            other = convert(positive * digit, part.adc) * worth
            low[columns] += np.minimum(one, other)
            high[columns] += np.maximum(one, other)
    return int(max(high.max(), -low.min()))
