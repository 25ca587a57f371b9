"""Decode time: from the cells of a matrix to a product in floating point.

A column whose converter can neither clip nor round, shown by the sums of its programmed cells,
contributes exact products; all such columns together are one integer weight matrix. The other
columns are converted step by step. Integer products run in float32 where no partial sum can
reach 2^24, else in parts of K or in float64 (2^53). A partial sum of products of inputs in
0..x_max lies between x_max times the sum of the negative and that of the positive weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Adc, Matrix
from imcc.isa.planes import held_columns, held_rows

from .crossbar import Crossbars, conversions
from .products import (
    FLOAT32_LIMIT,
    ExactProduct,
    Extents,
    Floats,
    LossyBlock,
    LossyProduct,
    Product,
)

Cells = NDArray[np.int16]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

_MOST_PARTS = 4


def prepare(matrix: Matrix, crossbars: Crossbars, copy: int = 0) -> Product:
    """Return the product of a copy of a matrix with the cells as they are now programmed."""
    there = held_rows(matrix)[:, :, np.newaxis] & held_columns(matrix)[:, np.newaxis]
    weights = matrix.center * there.astype(np.int64)
    lossy: dict[tuple[int, int], list[_Columns]] = {}
    for k, columns in _columns(matrix, crossbars, copy):
        rows, exact = columns.cells.shape[1], ~columns.lossy
        weights[:, k : k + rows, exact] += columns.weight * columns.cells[:, :, exact].astype(
            np.int64
        )
        if columns.lossy.any():
            lossy.setdefault((k, rows), []).append(columns)
    if not lossy:
        return _prepare_exact(matrix, _finer(matrix, weights))
    rest = _prepare_exact(matrix, weights) if weights.any() else None
    return _prepare_lossy(matrix, lossy, rest)


def _finer(matrix: Matrix, weights: Integers) -> Integers:
    """The same weights in as many diagonal blocks as there are: runs of groups, group by group."""
    blocks, rows, cols = weights.shape
    for parts in range(gcd(rows, cols), 1, -1):
        if gcd(rows, cols) % parts:
            continue
        split = weights.reshape(blocks, parts, rows // parts, parts, cols // parts)
        diagonal = split[:, range(parts), :, range(parts)].swapaxes(0, 1)
        if np.count_nonzero(diagonal) == np.count_nonzero(weights):
            count = max(-(-matrix.rows * parts // rows), -(-matrix.cols * parts // cols))
            return diagonal.reshape(blocks * parts, rows // parts, cols // parts)[:count]
    return weights


def _prepare_exact(matrix: Matrix, weights: Integers) -> ExactProduct:
    """The exact product with weights [block, rows, columns]."""
    extents, input_bits = Extents(matrix.rows, matrix.cols, weights.shape), matrix.input_bits
    x_max = (1 << input_bits) - 1
    bound = _largest_sum(weights) * x_max
    parts = _split(weights, (FLOAT32_LIMIT - 1) // x_max)
    if len(parts) <= _MOST_PARTS:
        floats = tuple(np.ascontiguousarray(part, np.float32) for part in parts)
        return ExactProduct(extents, floats, input_bits, bound)
    return ExactProduct(extents, (weights.astype(np.float64),), input_bits, bound)


def _largest_sum(weights: Integers) -> int:
    positive = np.maximum(weights, 0).sum(axis=1).max(initial=0)
    return max(int(positive), int(-np.minimum(weights, 0).sum(axis=1).min(initial=0)))


def _split(weights: Integers, limit: int) -> list[Integers]:
    """Cut K so that no part has a column whose positive or negative sum is above `limit`."""
    parts: list[Integers] = []
    start = 0
    while start < weights.shape[1]:
        rest = weights[:, start:]
        sums = np.maximum(
            np.cumsum(np.maximum(rest, 0), axis=1), -np.cumsum(np.minimum(rest, 0), axis=1)
        ).max(axis=(0, 2), initial=0)
        length = max(int(np.searchsorted(sums, limit, side="right")), 1)
        parts.append(rest[:, :length])
        start += length
    return parts


@dataclass(frozen=True)
class _Columns:
    """The columns of a row block with one slice and sign, in all diagonal blocks.

    `cells` are [block, rows, columns], `there` says where a block has the column, [block,
    columns]. A column is `lossy` if it is in any block; else no converter loses anything.
    `reach` is the largest magnitude of a column sum.
    """

    cells: Cells
    there: Flags
    lossy: Flags
    reach: Integers
    adc: Adc
    weight: int


def _columns(matrix: Matrix, crossbars: Crossbars, copy: int) -> Iterator[tuple[int, _Columns]]:
    """Yield the columns of all conversions, each with the first row of its row block."""
    blocks, rows, cols = matrix.stack
    found: dict[tuple[int, int, int, int], tuple[Cells, Flags]] = {}
    for conversion in conversions(matrix, crossbars, copy):
        block, k = divmod(conversion.k, rows)
        height, width = conversion.cells.shape
        key = (k, height, conversion.slice, conversion.sign)
        if key not in found:
            empty = np.zeros((blocks, height, cols), np.int16), np.zeros((blocks, cols), np.bool_)
            found[key] = empty
        n = conversion.n - block * cols
        found[key][0][block, :, n : n + width] = conversion.cells
        found[key][1][block, n : n + width] = True
    for (k, _, index, sign), (cells, there) in found.items():
        yield k, _proved(matrix, index, sign, cells, there)


def _proved(matrix: Matrix, index: int, sign: int, cells: Cells, there: Flags) -> _Columns:
    """Find the columns whose converter can neither clip nor round."""
    largest_digit = (1 << min(matrix.step_bits, matrix.input_bits)) - 1
    low = np.minimum(cells, 0).sum(axis=1, dtype=np.int64) * largest_digit
    high = np.maximum(cells, 0).sum(axis=1, dtype=np.int64) * largest_digit
    adc = matrix.adcs[index]
    inside = (low >= adc.low) & (high <= adc.low + (1 << adc.bits) - 1) & (adc.step == 1)
    lossy = (~inside & there).any(axis=0) & (adc.bits != 0)
    reach = np.maximum(-low, high).max(axis=0)
    return _Columns(cells, there, lossy, reach, adc, sign * matrix.slices[index].coefficient)


def _prepare_lossy(
    matrix: Matrix,
    lossy: dict[tuple[int, int], list[_Columns]],
    exact: ExactProduct | None,
) -> LossyProduct:
    gain = sum(1 << (matrix.step_bits * step) for step in range(matrix.steps))
    drafts = [_draft(k, group) for (k, _), group in lossy.items()]
    extents, (blocks, _, cols) = Extents(matrix.rows, matrix.cols, matrix.stack), matrix.stack
    constant, share = (np.zeros((blocks, cols), np.int64) for _ in range(2))
    for draft in drafts:
        constant[draft.blocks] += draft.constant * gain
        share[draft.blocks] += draft.share * gain
    bound = int((np.abs(constant) + share).max()) + (exact.bound if exact else 0)
    wide = bound >= FLOAT32_LIMIT or (exact is not None and len(exact.parts) > 1)
    wide = wide or (exact is not None and exact.parts[0].dtype == np.float64)
    dtype = np.dtype(np.float64 if wide else np.float32)
    return LossyProduct(
        extents,
        matrix.input_bits,
        matrix.step_bits,
        matrix.steps,
        tuple(_finish_block(draft, gain, dtype) for draft in drafts),
        constant[:, np.newaxis].astype(dtype),
        exact,
        bound,
    )


@dataclass(frozen=True)
class _Draft:
    """A lossy block in integers; `largest` bounds the magnitude of each column's codes."""

    k: int
    blocks: slice
    cells: Cells
    step: Integers
    offset: Integers
    low: Integers
    high: Integers
    rounds: bool
    combine: Integers
    constant: Integers
    largest: Integers
    analog: int

    @property
    def share(self) -> Integers:
        """The largest magnitude that codes can add to each accumulator, [block, N]."""
        return np.asarray((self.largest[:, np.newaxis] * np.abs(self.combine)).sum(axis=1))


def _draft(k: int, group: Sequence[_Columns]) -> _Draft:
    """Lay the lossy columns of a row block side by side.

    Where a step is above 1 the codes count from 0, and the lowest code's share is a constant;
    otherwise they are clipped sums, without any offset.
    """
    blocks = _range(np.any([c.there.any(axis=1) for c in group], axis=0))
    cells = np.concatenate([c.cells[blocks, :, c.lossy] for c in group], axis=2)
    n = np.concatenate([np.flatnonzero(c.lossy) for c in group])
    there = np.concatenate([c.there[blocks, c.lossy] for c in group], axis=1)
    low, step, bits, weight = _per_column(group)
    rounds = bool((step > 1).any())
    first = np.zeros_like(low) if rounds else low
    last = first + (1 << bits) - 1
    columns = np.arange(len(n))
    combine = np.zeros((len(there), len(n), group[0].there.shape[1]), np.int64)
    combine[:, columns, n] = weight * step * there
    constant = np.zeros((len(there), group[0].there.shape[1]), np.int64)
    if rounds:
        np.add.at(constant.T, n, (weight * low * there).T)
    offset = step // 2 - low
    largest = np.maximum(np.abs(first), np.abs(last))
    reach = int(np.concatenate([c.reach[c.lossy] for c in group]).max()) + int(np.abs(offset).max())
    return _Draft(
        k, blocks, cells, step, offset, first, last, rounds, combine, constant, largest, reach
    )


def _range(flags: Flags) -> slice:
    """The indices from the first to the last that is set."""
    indices = np.flatnonzero(flags)
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _per_column(group: Sequence[_Columns]) -> tuple[Integers, Integers, Integers, Integers]:
    """Return low, step and bits of the ADC and the digital weight of each lossy column."""
    rows = [(c.adc.low, c.adc.step, c.adc.bits, c.weight) for c in group]
    counts = [int(c.lossy.sum()) for c in group]
    low, step, bits, weight = np.repeat(np.array(rows, np.int64), counts, axis=0).T
    return low, step, bits, weight


def _finish_block(draft: _Draft, gain: int, result: np.dtype[Any]) -> LossyBlock:
    """Return a block in floats: float32 where analog sums and codes of all steps are exact."""
    wide = max(draft.analog, int(draft.largest.max()) * gain) >= FLOAT32_LIMIT
    dtype = np.dtype(np.float64 if wide else np.float32)
    return LossyBlock(
        draft.k,
        draft.blocks,
        np.ascontiguousarray(draft.cells, dtype),
        _compact(draft.step, dtype),
        _compact(draft.offset, dtype),
        _compact(draft.low, dtype),
        _compact(draft.high, dtype),
        draft.rounds,
        draft.combine.astype(result),
    )


def _compact(values: Integers, dtype: np.dtype[Any]) -> Floats:
    """Return a scalar array where all columns agree: ufuncs are much faster with one."""
    same = bool((values == values[0]).all())
    return np.asarray(values[0] if same else values, dtype)
