"""Matrix products in floating point: as few BLAS calls as the converters allow.

Columns whose converters lose nothing are one integer weight matrix; the others are converted step
by step. `prepare` finds out which are which, and which float types are exact.

The diagonal blocks of a matrix are a stack, axis 0 of all arrays, and one batched product. A last
block that is smaller is filled up with rows whose inputs are 0 and columns that are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .scratch import Scratch, Slot

Floats = NDArray[Any]

FLOAT32_LIMIT = 1 << 24
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


def _gathered(windows: NDArray[np.uint8], inner: int, scratch: Scratch) -> NDArray[np.uint8]:
    """Return windows, or a copy where the bytes of one vector do not lie in its order.

    A copy goes along the last axis of what it writes, so it is cheap where that has bytes beside
    each other; from the copy all others are in cache.
    """
    first = windows.ndim - inner
    order = sorted(range(first, windows.ndim), key=lambda axis: -abs(windows.strides[axis]))
    if order == list(range(first, windows.ndim)):
        return windows
    order = [*range(first), *order]
    ordered = scratch.array(Slot.ORDERED, windows.dtype, tuple(windows.shape[a] for a in order))
    np.copyto(ordered, windows.transpose(order))
    return ordered.transpose(np.argsort(order))


@dataclass(frozen=True)
class Extents:
    """K and N of a matrix, and the stack of its diagonal blocks (`Matrix.stack`)."""

    rows: int
    cols: int
    stack: tuple[int, int, int]

    def fill(self, x: Floats, windows: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """Copy windows [..., K axes] to x [M, rows of the stack]; returns it [block, M, rows]."""
        blocks, rows, _ = self.stack
        inputs = x[:, : self.rows].reshape(windows.shape, copy=False)
        np.copyto(inputs, _gathered(windows, self._inner(windows.shape), scratch))
        x[:, self.rows :] = 0
        return x.reshape(-1, blocks, rows).swapaxes(0, 1)

    def _inner(self, shape: tuple[int, ...]) -> int:
        """How many of the last axes of windows are those of one vector."""
        inner, size = 0, 1
        while size != self.rows:
            inner += 1
            size *= shape[-inner]
        return inner

    def trim(self, result: Floats, scratch: Scratch) -> Floats:
        """Return accumulators [M, N] of [block, M, columns], which lies window by window."""
        blocks, windows, cols = result.shape
        whole = result.swapaxes(0, 1).reshape(windows, blocks * cols)
        if whole.shape[1] == self.cols:
            return whole
        trimmed = scratch.array(Slot.TRIMMED, result.dtype, (windows, self.cols))
        np.copyto(trimmed, whole[:, : self.cols])
        return trimmed

    def sums(self, slot: Slot, dtype: np.dtype[Any], windows: int, scratch: Scratch) -> Floats:
        """Return an array [block, M, columns] that lies window by window."""
        blocks, _, cols = self.stack
        return scratch.array(slot, dtype, (windows, blocks, cols)).swapaxes(0, 1)


@dataclass(frozen=True)
class ExactProduct:
    """One integer matrix product, in parts of K that are exact in the type of the weights.

    A part is [block, rows, columns].
    """

    extents: Extents
    parts: tuple[Floats, ...]
    input_bits: int
    bound: int

    @property
    def width(self) -> int:
        """The larger of the rows and the columns of the stack."""
        blocks, rows, cols = self.extents.stack
        return blocks * max(rows, cols)

    def multiply(self, windows: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """See `Product`."""
        blocks, rows, _ = self.extents.stack
        count = windows.size // self.extents.rows
        x = scratch.array(Slot.INPUT, self.parts[0].dtype, (count, blocks * rows))
        stacked = self.extents.fill(x, cut_inputs(windows, self.input_bits, scratch), scratch)
        return self.extents.trim(self.multiply_floats(stacked, scratch), scratch)

    def multiply_floats(self, x: Floats, scratch: Scratch) -> Floats:
        """Return the products [block, M, columns] of x [block, M, rows]; float64 if in parts."""
        dtype = self.parts[0].dtype
        result = self.extents.sums(Slot.PRODUCT, dtype, x.shape[1], scratch)
        if len(self.parts) == 1:
            return np.matmul(x, self.parts[0], out=result)
        total = self.extents.sums(Slot.TOTAL, np.dtype(np.float64), x.shape[1], scratch)
        total[...] = 0
        start = 0
        for part in self.parts:
            np.matmul(x[:, :, start : start + part.shape[1]], part, out=result)
            np.add(total, result, out=total)
            start += part.shape[1]
        return total


@dataclass(frozen=True)
class LossyBlock:
    """The lossy columns of one row block, [block, rows, columns], and what follows them.

    A column sum `a` becomes ``floor((a + offset) / divisor)`` clipped to [low, high]; a code
    times ``combine`` [block, columns, N] is its share of the accumulators. Where all steps are 1
    nothing is rounded: `rounds` is false, `offset` and `divisor` are not used. The quotient is
    never rounded up to an integer in float, since numerator and quotient are below 2^24 (2^53).
    `blocks` are the diagonal blocks that have the row block.
    """

    k: int
    blocks: slice
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

    extents: Extents
    input_bits: int
    step_bits: int
    steps: int
    lossy: tuple[LossyBlock, ...]
    constant: Floats
    exact: ExactProduct | None
    bound: int

    @property
    def width(self) -> int:
        """The largest of the rows, the columns and the lossy columns of a row block."""
        blocks, rows, cols = self.extents.stack
        columns = max(block.cells.shape[2] for block in self.lossy)
        return blocks * max(rows, cols, int(columns))

    def multiply(self, windows: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """See `Product`."""
        blocks, rows, _ = self.extents.stack
        count = windows.size // self.extents.rows
        inputs = scratch.array(Slot.BYTES, np.dtype(np.uint8), (count, blocks * rows))
        x = self.extents.fill(inputs, cut_inputs(windows, self.input_bits, scratch), scratch)
        result = self.extents.sums(Slot.RESULT, self.constant.dtype, count, scratch)
        result[...] = self.constant
        for block in self.lossy:
            driven = x[block.blocks, :, block.k : block.k + block.cells.shape[1]]
            codes = self._codes(block, driven, scratch)
            own = result[block.blocks]
            share = scratch.array(Slot.PRODUCT, own.dtype, own.shape)
            np.matmul(codes.astype(share.dtype, copy=False), block.combine, out=share)
            np.add(own, share, out=own)
        if self.exact is not None:
            floats = scratch.array(Slot.INPUT, self.exact.parts[0].dtype, x.shape)
            np.copyto(floats, x)
            np.add(result, self.exact.multiply_floats(floats, scratch), out=result)
        return self.extents.trim(result, scratch)

    def _codes(self, block: LossyBlock, x: NDArray[np.uint8], scratch: Scratch) -> Floats:
        """Return the codes of all steps, shifted and added, [block, M, columns]."""
        dtype = block.cells.dtype
        digits = scratch.array(Slot.DIGITS, np.dtype(np.uint8), x.shape)
        driven = scratch.array(Slot.DRIVEN, dtype, x.shape)
        shape = (*x.shape[:2], block.cells.shape[2])
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
