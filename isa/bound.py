"""The largest magnitude that an accumulator of a matrix can take, from its cell levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .matrix import Adc, Matrix
from .planes import Planes, held_columns, held_rows, row_edges

Integers = NDArray[np.int64]
_LARGEST_LEVEL = 255


@dataclass(frozen=True, eq=False)
class Sums:
    """Column sums of cells that are converted together, for inputs of 1.

    `low` are the sums of the negative and `high` those of the positive levels of each column of
    each row block, [slice, diagonal block, row block, columns]. `sign` is -1 where the digital side
    subtracts what is converted.
    """

    sign: int
    low: Integers
    high: Integers


def column_sums(matrix: Matrix, planes: Planes) -> tuple[Sums, ...]:
    """The sums of positive and of negative cells; with `subtract_analog` of their difference."""
    edges = row_edges(matrix)
    positive, negative = planes.positive, planes.negative
    if negative is None:
        return (_unsigned(1, positive, edges),)
    if not matrix.subtract_analog:
        return _unsigned(1, positive, edges), _unsigned(-1, negative, edges)
    levels = positive.astype(np.int16) - negative
    low, high = np.minimum(levels, 0), np.maximum(levels, 0)
    return (Sums(1, _reduced(low, edges), _reduced(high, edges)),)


def is_lossless(matrix: Matrix, sums: tuple[Sums, ...]) -> bool:
    """Whether no converter clips or rounds for any input: the proof by column sums."""
    digit = max(_digits(matrix))
    return all(
        _covers(adc, digit * int(part.low[index].min()), digit * int(part.high[index].max()))
        for part in sums
        for index, adc in enumerate(matrix.adcs)
    )


def accumulator_bound(matrix: Matrix, planes: Planes) -> int:
    """Return the largest accumulator magnitude for any input of `input_bits` bits.

    Exact where no converter clips or rounds; otherwise the sum of the extremes of the converted
    values, each for itself (formulas: `imcc.isa.matrix`). The planes may be those of the first
    columns and diagonal blocks only, where all others are equal to them.
    """
    sums = column_sums(matrix, planes)
    if is_lossless(matrix, sums):
        return _exact_bound(matrix, planes)
    return _converted_bound(matrix, sums)


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


def _unsigned(sign: int, levels: NDArray[np.uint8], edges: list[int]) -> Sums:
    high = _reduced(levels, edges)
    return Sums(sign, np.zeros_like(high), high)


def _reduced(levels: NDArray[np.integer], edges: list[int]) -> Integers:
    """Sums of the rows of each row block.

    A loop over the blocks in the narrowest type that holds their sums is twenty times as quick as
    `reduceat`, which turns every level into 64 bits first.
    """
    stops = [*edges[1:], levels.shape[2]]
    blocks = [levels[:, :, start:stop] for start, stop in zip(edges, stops, strict=True)]
    return np.stack([np.add.reduce(b, axis=2, dtype=_sum_type(b)) for b in blocks], 2).astype(
        np.int64
    )


def _sum_type(levels: NDArray[np.integer]) -> type[np.uint16] | type[np.int32]:
    """A type for sums of so many rows of levels, whose magnitude is at most 255."""
    narrow = levels.dtype == np.uint8 and levels.shape[2] * _LARGEST_LEVEL < 1 << 16
    return np.uint16 if narrow else np.int32


def _covers(adc: Adc, low: int, high: int) -> bool:
    if adc.bits == 0:
        return True
    return adc.step == 1 and adc.low <= low and high <= adc.low + (1 << adc.bits) - 1


def _exact_bound(matrix: Matrix, planes: Planes) -> int:
    rows, columns = _held(matrix, planes)
    levels = [(1, planes.positive), (-1, planes.negative)]
    terms = [
        (sign * part.coefficient, cells[index], int(cells[index].max()))
        for sign, cells in levels
        if cells is not None
        for index, part in enumerate(matrix.slices)
    ]
    reach = abs(matrix.center) + sum(abs(worth) * highest for worth, _, highest in terms)
    there = rows[:, :, np.newaxis] & columns[:, np.newaxis]
    weights = np.multiply(there, matrix.center, dtype=_integers(reach))
    for worth, cells, highest in terms:
        if highest:
            weights += np.multiply(cells, worth, dtype=weights.dtype)
    sums = _integers(reach * rows.shape[1], np.int32)
    total = weights.sum(axis=1, dtype=sums)
    high = np.maximum(weights, 0, out=weights).sum(axis=1, dtype=sums)
    return max(int(high.max()), int((high - total).max())) * ((1 << matrix.input_bits) - 1)


def _integers(reach: int, least: type[np.signedinteger] = np.int16) -> type[np.signedinteger]:
    """The narrowest type of at least so many bits that holds magnitudes up to `reach`."""
    kinds = (np.int16, np.int32, np.int64)
    return next(k for k in kinds[kinds.index(least) :] if reach <= np.iinfo(k).max)


def _held(matrix: Matrix, planes: Planes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows and columns of the planes hold weights, [block, rows] and [block, columns]."""
    _, blocks, _, cols = planes.positive.shape
    return held_rows(matrix)[:blocks], held_columns(matrix)[:blocks, :cols]


def _converted_bound(matrix: Matrix, sums: tuple[Sums, ...]) -> int:
    blocks, _, cols = sums[0].high.shape[1:]
    rows = held_rows(matrix)[:blocks].sum(axis=1, keepdims=True)
    center = matrix.center * ((1 << matrix.input_bits) - 1) * np.broadcast_to(rows, (blocks, cols))
    low, high = np.minimum(center, 0), np.maximum(center, 0)
    for part in sums:
        for index, adc in enumerate(matrix.adcs):
            for step, digit in enumerate(_digits(matrix)):
                worth = part.sign * matrix.slices[index].coefficient << (matrix.step_bits * step)
                one = convert(part.low[index] * digit, adc) * worth
                other = convert(part.high[index] * digit, adc) * worth
                # A row block or a sign without cells in a column adds nothing to it.
                low = low + np.minimum(np.minimum(one, other), 0).sum(axis=1)
                high = high + np.maximum(np.maximum(one, other), 0).sum(axis=1)
    return int(max(high.max(), -low.min()))
