"""Row blocks and converter settings: what a column sum may be, and what is kept of it.

A column sum is ``sum_k x[k] * level[k]`` with x between 0 and the largest input step, so its
extremes follow from the levels alone. A converter loses nothing where its codes are one level
apart and cover both extremes.

Where it cannot, the `saturating` rule takes inputs as independent and uniform over the values
of a step. That gives every column sum a mean and a variance; covered are four standard
deviations around the mean of every column. What is then clipped lies far below the rounding
noise ``step^2 / 12``, and activations, most of which are small, vary less than uniform ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Adc

from .encoding import Levels
from .options import AdcPolicy

MOST_EXTRA_BLOCKS = 4
SIGMAS = 4.0
EXACT = Adc(bits=0, low=0, step=1)  # a digital sum

RowBlock = tuple[int, int]  # first row, number of rows


@dataclass(frozen=True)
class Columns:
    """The cells of a matrix as its converters see them.

    `positive` are levels [slice, K, M]: the columns of all diagonal blocks side by side. Where a
    conversion takes the difference of two sums, `negative` are the levels subtracted, else None.
    Inputs of `input_bits` bits come in steps of `step_bits`. A converter has `adc_bits` bits; 0 is
    an exact digital sum.
    """

    positive: Levels
    negative: Levels | None
    input_bits: int
    step_bits: int
    adc_bits: int

    @property
    def largest_step(self) -> int:
        """The largest value of one input step."""
        return (1 << min(self.step_bits, self.input_bits)) - 1

    def extremes(self, block: RowBlock) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Smallest and largest value of each conversion, both [slice, M]."""
        high = _sums(self.positive, block) * self.largest_step
        if self.negative is None:
            return np.zeros_like(high), high
        return -_sums(self.negative, block) * self.largest_step, high

    def likely(self, block: RowBlock) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What `extremes` gives, cut to four standard deviations for uniform inputs."""
        low, high = self.extremes(block)
        middle = (low + high) / 2
        variance = self.largest_step * (self.largest_step + 2) / 12
        squares = _sums(self.positive, block, power=2)
        if self.negative is not None:
            squares = squares + _sums(self.negative, block, power=2)
        spread = SIGMAS * np.sqrt(variance * squares)
        return np.maximum(low, middle - spread), np.minimum(high, middle + spread)


def _sums(cells: Levels, block: RowBlock, power: int = 1) -> NDArray[np.int64]:
    part = cells[:, block[0] : block[0] + block[1]].astype(np.int64)
    return np.asarray((part**power).sum(axis=1))


def choose(
    columns: Columns, most_rows: int, policy: AdcPolicy
) -> tuple[tuple[RowBlock, ...], tuple[Adc, ...]]:
    """Row blocks of at most `most_rows` rows, and a converter for each slice."""
    slices, rows, _ = columns.positive.shape
    full = tuple((k, min(most_rows, rows - k)) for k in range(0, rows, most_rows))
    if columns.adc_bits == 0:
        return full, (EXACT,) * slices
    if policy is AdcPolicy.LOSSLESS:
        blocks = _lossless_blocks(columns, most_rows, MOST_EXTRA_BLOCKS * len(full))
        if blocks is not None:
            return blocks, (_converter(columns, 1),) * slices
    ranges = columns.extremes if policy is AdcPolicy.COVERING else columns.likely
    steps = np.ones(slices, np.int64)
    for block in full:
        low, high = ranges(block)
        steps = np.maximum(steps, [_step(columns, *pair) for pair in zip(low, high, strict=True)])
    return full, tuple(_converter(columns, int(step)) for step in steps)


def _converter(columns: Columns, step: int) -> Adc:
    low = 0 if columns.negative is None else -(1 << (columns.adc_bits - 1)) * step
    return Adc(columns.adc_bits, low, step)


def _step(columns: Columns, low: NDArray[np.number], high: NDArray[np.number]) -> int:
    """The smallest power of two with which the converter reaches from `low` to `high`."""
    bottom, top, step = float(low.min()), float(high.max()), 1
    while True:
        adc = _converter(columns, step)
        last = adc.low + ((1 << adc.bits) - 1) * step
        if adc.low - step // 2 <= bottom and top <= last + (step - 1) // 2:
            return step
        step *= 2


def _lossless_blocks(
    columns: Columns, most_rows: int, most_blocks: int
) -> tuple[RowBlock, ...] | None:
    """As few row blocks as possible whose sums all fit the converter; None if too many."""
    bits, signed = columns.adc_bits, columns.negative is not None
    most_positive = ((1 << (bits - signed)) - 1) // columns.largest_step
    most_negative = (1 << (bits - 1)) // columns.largest_step
    blocks: list[RowBlock] = []
    start, rows = 0, columns.positive.shape[1]
    while start < rows and len(blocks) < most_blocks:
        window = slice(start, min(start + most_rows, rows))
        height = _rows_below(columns.positive[:, window], most_positive)
        if columns.negative is not None:
            height = min(height, _rows_below(columns.negative[:, window], most_negative))
        if height == 0:
            return None
        blocks.append((start, height))
        start += height
    return tuple(blocks) if start == rows else None


def _rows_below(cells: Levels, most: int) -> int:
    """How many leading rows keep every column's sum of levels at or below `most`."""
    if cells.sum(axis=1, dtype=np.int32).max(initial=0) <= most:
        return len(cells[0])
    largest = np.cumsum(cells, axis=1, dtype=np.int32).max(axis=(0, 2))
    return int(np.count_nonzero(largest <= most))


def convert(sums: NDArray[np.floating], adc: Adc) -> NDArray[np.floating]:
    """What a converter makes of integer sums; one of 0 bits is exact.

    The result is exact in the type of `sums`: float32 is enough for sums below 2^24 where the
    step is a power of two.
    """
    if adc.bits == 0:
        return sums
    if adc.step == 1:
        return np.asarray(np.clip(sums, adc.low, adc.low + (1 << adc.bits) - 1))
    codes = np.floor((sums - (adc.low - adc.step // 2)) / adc.step)
    return np.asarray(np.clip(codes, 0, (1 << adc.bits) - 1) * adc.step + adc.low)
