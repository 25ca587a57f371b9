"""Matrix products prepared at decode time: as few BLAS calls as the converters allow.

A column whose converter can neither clip nor round, shown by the sums of its programmed cells,
contributes exact products; all such columns together are one integer weight matrix. The other
columns are converted step by step. Integer products run in float32 where no partial sum can
reach 2^24, else in parts of K or in float64 (2^53). A partial sum of products of inputs in
0..x_max lies between x_max times the sum of the negative and that of the positive weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Adc, Matrix

from .crossbar import Conversion, Crossbars, conversions, step_count
from .scratch import Scratch, Slot

Floats = NDArray[Any]
Integers = NDArray[np.int64]

FLOAT32_LIMIT = 1 << 24
_MOST_PARTS = 4
_ALL_BITS = 8


class Product(Protocol):
    """A matrix ready to be multiplied.

    `bound` is the largest magnitude of an accumulator, `width` the number of floats that one
    input vector needs in the largest buffer.
    """

    @property
    def bound(self) -> int:
        """See the class."""
        ...

    @property
    def width(self) -> int:
        """See the class."""
        ...

    def multiply(self, windows: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """Return the accumulators [M, N] (exact integers) of windows [..., K axes] (u8)."""
        ...


@dataclass(frozen=True)
class ExactProduct:
    """One integer matrix product, in parts of K that are exact in the type of the weights."""

    parts: tuple[Floats, ...]
    input_bits: int
    bound: int

    @property
    def rows(self) -> int:
        """K."""
        return sum(len(part) for part in self.parts)

    @property
    def width(self) -> int:
        """The larger of K and N."""
        return max(self.rows, int(self.parts[0].shape[1]))

    def multiply(self, windows: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """See `Product`."""
        x = scratch.array(Slot.INPUT, self.parts[0].dtype, windows.shape)
        np.copyto(x, cut_inputs(windows, self.input_bits, scratch))
        return self.multiply_floats(x.reshape(-1, self.rows), scratch)

    def multiply_floats(self, x: Floats, scratch: Scratch) -> Floats:
        """Return ``x @ weights`` [M, N] for x [M, K]; float64 if there are several parts."""
        shape = (len(x), self.parts[0].shape[1])
        result = scratch.array(Slot.PRODUCT, self.parts[0].dtype, shape)
        if len(self.parts) == 1:
            return np.matmul(x, self.parts[0], out=result)
        total = scratch.array(Slot.TOTAL, np.dtype(np.float64), shape)
        total[...] = 0
        start = 0
        for part in self.parts:
            np.matmul(x[:, start : start + len(part)], part, out=result)
            np.add(total, result, out=total)
            start += len(part)
        return total


@dataclass(frozen=True)
class LossyBlock:
    """The lossy columns of one row block, [rows, columns], and what follows them.

    A column sum `a` becomes ``floor((a + offset) / divisor)`` clipped to [low, high]; a code
    times ``combine`` [columns, N] is its share of the accumulators. Where all steps are 1
    nothing is rounded: `rounds` is false, `offset` and `divisor` are not used. The quotient is
    never rounded up to an integer in float, since numerator and quotient are below 2^24 (2^53).
    """

    k: int
    cells: Floats
    divisor: Floats
    offset: Floats
    low: Floats
    high: Floats
    rounds: bool
    combine: Floats


@dataclass(frozen=True)
class LossyProduct:
    """Columns converted step by step, added to the exact product of all other columns."""

    rows: int
    input_bits: int
    step_bits: int
    steps: int
    blocks: tuple[LossyBlock, ...]
    constant: Floats
    exact: ExactProduct | None
    bound: int

    @property
    def width(self) -> int:
        """The largest of K, the columns of a block and N."""
        columns = max(block.cells.shape[1] for block in self.blocks)
        return max(self.rows, int(columns), len(self.constant))

    def multiply(self, windows: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """See `Product`."""
        inputs = scratch.array(Slot.BYTES, np.dtype(np.uint8), windows.shape)
        np.copyto(inputs, cut_inputs(windows, self.input_bits, scratch))
        x = inputs.reshape(-1, self.rows)
        result = scratch.array(Slot.RESULT, self.constant.dtype, (len(x), len(self.constant)))
        result[...] = self.constant
        for block in self.blocks:
            codes = self._codes(block, x[:, block.k : block.k + len(block.cells)], scratch)
            share = scratch.array(Slot.PRODUCT, self.constant.dtype, result.shape)
            np.matmul(codes.astype(share.dtype, copy=False), block.combine, out=share)
            np.add(result, share, out=result)
        if self.exact is not None:
            floats = scratch.array(Slot.INPUT, self.exact.parts[0].dtype, x.shape)
            np.copyto(floats, x)
            np.add(result, self.exact.multiply_floats(floats, scratch), out=result)
        return result

    def _codes(self, block: LossyBlock, x: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """Return the codes of all steps, shifted and added, [M, columns]."""
        dtype = block.cells.dtype
        digits = scratch.array(Slot.DIGITS, np.dtype(np.uint8), x.shape)
        driven = scratch.array(Slot.DRIVEN, dtype, x.shape)
        shape = (len(x), block.cells.shape[1])
        total = scratch.array(Slot.TOTAL, dtype, shape)
        analog = scratch.array(Slot.ANALOG, dtype, shape)
        mask = np.uint8((1 << self.step_bits) - 1)
        for step in reversed(range(self.steps)):
            np.right_shift(x, np.uint8(step * self.step_bits), out=digits)
            np.bitwise_and(digits, mask, out=digits)
            np.copyto(driven, digits)
            np.matmul(driven, block.cells, out=analog)
            _convert(analog, block)
            if step == self.steps - 1:
                total, analog = analog, total
            else:
                np.multiply(total, dtype.type(1 << self.step_bits), out=total)
                np.add(total, analog, out=total)
        return total


def _convert(analog: Floats, block: LossyBlock) -> None:
    if block.rounds:
        np.add(analog, block.offset, out=analog)
        np.divide(analog, block.divisor, out=analog)
        np.floor(analog, out=analog)
    np.clip(analog, block.low, block.high, out=analog)


def cut_inputs(windows: NDArray[np.uint8], input_bits: int, scratch: Scratch) -> NDArray[np.uint8]:
    """Return inputs cut to the bits that the input drivers take."""
    if input_bits >= _ALL_BITS:
        return windows
    cut = scratch.array(Slot.CUT, np.dtype(np.uint8), windows.shape)
    np.bitwise_and(windows, np.uint8((1 << input_bits) - 1), out=cut)
    return cut


def prepare(matrix: Matrix, crossbars: Crossbars) -> Product:
    """Return the product of a matrix with the cells as they are now programmed."""
    weights = np.full((matrix.rows, matrix.cols), matrix.center, np.int64)
    lossy: dict[tuple[int, int], list[_Columns]] = {}
    for conversion in conversions(matrix, crossbars):
        columns = _columns(matrix, conversion)
        rows = slice(conversion.k, conversion.k + len(conversion.cells))
        lossless = ~columns.lossy
        weights[rows, columns.n[lossless]] += columns.weight * conversion.cells[:, lossless]
        if columns.lossy.any():
            lossy.setdefault((conversion.k, len(conversion.cells)), []).append(columns)
    exact = prepare_exact(weights, matrix.input_bits)
    if not lossy:
        return exact
    return _prepare_lossy(matrix, lossy, exact if weights.any() else None)


def prepare_exact(weights: Integers, input_bits: int) -> ExactProduct:
    """Return the exact product with integer weights [K, N] of inputs of `input_bits` bits."""
    x_max = (1 << input_bits) - 1
    bound = _largest_sum(weights) * x_max
    parts = _split(weights, (FLOAT32_LIMIT - 1) // x_max)
    if len(parts) <= _MOST_PARTS:
        floats = tuple(np.ascontiguousarray(part, np.float32) for part in parts)
        return ExactProduct(floats, input_bits, bound)
    return ExactProduct((weights.astype(np.float64),), input_bits, bound)


def _largest_sum(weights: Integers) -> int:
    positive = np.maximum(weights, 0).sum(axis=0).max(initial=0)
    return max(int(positive), int(-np.minimum(weights, 0).sum(axis=0).min(initial=0)))


def _split(weights: Integers, limit: int) -> list[Integers]:
    """Cut K so that no part has a column whose positive or negative sum is above `limit`."""
    parts: list[Integers] = []
    start = 0
    while start < len(weights):
        rest = weights[start:]
        sums = np.maximum(
            np.cumsum(np.maximum(rest, 0), axis=0), -np.cumsum(np.minimum(rest, 0), axis=0)
        ).max(axis=1, initial=0)
        length = max(int(np.searchsorted(sums, limit, side="right")), 1)
        parts.append(rest[:length])
        start += length
    return parts


@dataclass(frozen=True)
class _Columns:
    """The columns of a conversion: accumulator index, proof of loss, ADC, digital weight."""

    cells: Integers
    n: Integers
    lossy: NDArray[np.bool_]
    analog_low: Integers
    analog_high: Integers
    adc: Adc
    weight: int


def _columns(matrix: Matrix, conversion: Conversion) -> _Columns:
    largest_digit = (1 << min(matrix.step_bits, matrix.input_bits)) - 1
    low = np.minimum(conversion.cells, 0).sum(axis=0) * largest_digit
    high = np.maximum(conversion.cells, 0).sum(axis=0) * largest_digit
    adc = matrix.adcs[conversion.slice]
    inside = (low >= adc.low) & (high <= adc.low + (1 << adc.bits) - 1)
    exact = (adc.bits == 0) | (inside if adc.step == 1 else np.zeros_like(inside))
    n = conversion.n + np.arange(conversion.cells.shape[1])
    weight = conversion.sign * matrix.slices[conversion.slice].coefficient
    lossy = np.broadcast_to(~np.asarray(exact), inside.shape)
    return _Columns(conversion.cells, n, lossy, low, high, adc, weight)


def _prepare_lossy(
    matrix: Matrix, lossy: dict[tuple[int, int], list[_Columns]], exact: ExactProduct | None
) -> LossyProduct:
    gain = sum(1 << (matrix.step_bits * step) for step in range(step_count(matrix)))
    drafts = [_draft(k, group, matrix.cols) for (k, _), group in lossy.items()]
    constant = sum((d.constant for d in drafts), np.zeros(matrix.cols, np.int64)) * gain
    share = sum(((d.largest[:, None] * np.abs(d.combine)).sum(axis=0) for d in drafts), 0)
    bound = int((np.abs(constant) + share * gain).max()) + (exact.bound if exact else 0)
    wide = bound >= FLOAT32_LIMIT or (exact is not None and len(exact.parts) > 1)
    wide = wide or (exact is not None and exact.parts[0].dtype == np.float64)
    dtype = np.dtype(np.float64 if wide else np.float32)
    return LossyProduct(
        matrix.rows,
        matrix.input_bits,
        matrix.step_bits,
        step_count(matrix),
        tuple(_finish_block(draft, gain, dtype) for draft in drafts),
        constant.astype(dtype),
        exact,
        bound,
    )


@dataclass(frozen=True)
class _Draft:
    """A lossy block in integers; `largest` bounds the magnitude of each column's codes."""

    k: int
    cells: Integers
    step: Integers
    offset: Integers
    low: Integers
    high: Integers
    rounds: bool
    combine: Integers
    constant: Integers
    largest: Integers
    analog: int


def _draft(k: int, group: Sequence[_Columns], cols: int) -> _Draft:
    """Lay the lossy columns of a row block side by side.

    Where a step is above 1 the codes count from 0, and the lowest code's share is a constant;
    otherwise they are clipped sums, without any offset.
    """
    cells = np.hstack([c.cells[:, c.lossy] for c in group])
    n = np.concatenate([c.n[c.lossy] for c in group])
    low, step, bits, weight = _per_column(group)
    rounds = bool((step > 1).any())
    top = (1 << bits) - 1
    first = np.zeros_like(low) if rounds else low
    last = first + top
    combine = np.zeros((len(n), cols), np.int64)
    combine[np.arange(len(n)), n] = weight * step
    constant = np.zeros(cols, np.int64)
    if rounds:
        np.add.at(constant, n, weight * low)
    analog_low = np.concatenate([c.analog_low[c.lossy] for c in group])
    analog_high = np.concatenate([c.analog_high[c.lossy] for c in group])
    analog = int(np.maximum(np.abs(analog_low), np.abs(analog_high)).max())
    offset = step // 2 - low
    largest = np.maximum(np.abs(first), np.abs(last))
    reach = analog + int(np.abs(offset).max())
    return _Draft(k, cells, step, offset, first, last, rounds, combine, constant, largest, reach)


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
