"""Pooling over 1 to 3 spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..op import Array, Op, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_floating, expect_spatial
from .windows import Windows


@op("max_pool", Stage.ANY)
class MaxPool(Op):
    """Largest element of each window; padding never wins. Works on floats and on codes alike."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil: bool = False

    @property
    def windows(self) -> Windows:
        """The geometry."""
        return Windows(self.kernel, self.strides, self.pads, self.dilations, self.ceil)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, ...]`` with the element type and quantization of the operand."""
        expect_count(operands, 1)
        return (_pooled(self.windows, operands[0]),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A running maximum over the kernel elements."""
        x = inputs[0]
        output = self.windows.output(x.shape[2:])
        padded = self.windows.padded(x, _smallest(x.dtype))
        taps = self.windows.taps(padded, output)
        result = next(taps).copy()
        for tap in taps:
            np.maximum(result, tap, out=result)
        return (result,)


@op("max_pool_indices", Stage.FLOAT)
class MaxPoolIndices(Op):
    """Index of the largest element of each window in the whole tensor, in i64.

    Elements are counted in row-major order, or with `column_major` with the spatial axes the
    other way round. Of equal elements the first counts. No axis is a batch.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil: bool = False
    column_major: bool = False

    @property
    def windows(self) -> Windows:
        """The geometry."""
        return Windows(self.kernel, self.strides, self.pads, self.dilations, self.ceil)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, ...]`` in i64."""
        expect_count(operands, 1)
        return (TensorType(DType.I64, _pooled(self.windows, operands[0]).shape),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Indices count samples."""
        return "indices count elements over axis 0"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A running maximum that takes its index along."""
        x = inputs[0]
        output = self.windows.output(x.shape[2:])
        flat = np.arange(prod(x.shape[2:]))
        spatial = flat.reshape(x.shape[2:], order="F" if self.column_major else "C")
        images = np.arange(prod(x.shape[:2])).reshape(*x.shape[:2], *([1] * len(output)))
        places = images * spatial.size + spatial
        values = self.windows.taps(self.windows.padded(x, _smallest(x.dtype)), output)
        indices = self.windows.taps(self.windows.padded(places, -1), output)
        best, found = next(values).copy(), next(indices).copy()
        for value, index in zip(values, indices, strict=True):
            better = (value > best) | ((found < 0) & (index >= 0))
            best, found = np.where(better, value, best), np.where(better, index, found)
        return (found.astype(np.int64),)


@op("average_pool", Stage.FLOAT)
class AveragePool(Op):
    """Mean of each window, over the elements inside the input.

    With `count_include_pad` padding counts as zeros; what `ceil` adds beyond it never counts.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    ceil: bool = False
    count_include_pad: bool = False
    dilations: tuple[int, ...] | None = None

    @property
    def windows(self) -> Windows:
        """The geometry."""
        dilations = self.dilations or (1,) * len(self.kernel)
        return Windows(self.kernel, self.strides, self.pads, dilations, self.ceil)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, ...]`` in the type of the operand."""
        expect_count(operands, 1)
        expect_floating(operands)
        return (_pooled(self.windows, operands[0]),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Sum of the kernel elements over their number."""
        total = window_sum(self.windows, inputs[0])
        return (total / self.counts(types[0].shape[2:]).astype(total.dtype),)

    def counts(self, spatial: tuple[int, ...]) -> Array:
        """By how many elements each window's sum is divided: int64, one an output element."""
        return window_counts(self.windows, spatial, self.count_include_pad)


@op("global_average_pool", Stage.FLOAT)
class GlobalAveragePool(Op):
    """Mean over all spatial axes, kept with extent 1."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, 1, ...]`` in the type of the operand."""
        expect_count(operands, 1)
        expect_floating(operands)
        spatial = expect_spatial(operands[0])
        return (operands[0].with_shape((*operands[0].shape[:2], *([1] * spatial))),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The mean."""
        x = inputs[0]
        return (x.mean(axis=tuple(range(2, x.ndim)), keepdims=True, dtype=x.dtype),)


@op("lp_pool", Stage.FLOAT)
class LpPool(Op):
    """``(sum of |x| ** p) ** (1 / p)`` over each window; padding counts as zero."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil: bool = False
    p: int = 2

    @property
    def windows(self) -> Windows:
        """The geometry."""
        return Windows(self.kernel, self.strides, self.pads, self.dilations, self.ceil)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, ...]`` in the type of the operand."""
        expect_count(operands, 1)
        expect_floating(operands)
        return (_pooled(self.windows, operands[0]),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The root of the sum of powers."""
        powers = np.abs(inputs[0]).astype(np.float64) ** self.p
        return ((window_sum(self.windows, powers) ** (1 / self.p)).astype(inputs[0].dtype),)


def window_sum(windows: Windows, x: Array) -> Array:
    """Sum of each window in the element type of x, padding counting as zero."""
    output = windows.output(x.shape[2:])
    total: Array = np.zeros((*x.shape[:2], *output), x.dtype)
    for tap in windows.taps(windows.padded(x, 0), output):
        total += tap
    return total


def window_counts(windows: Windows, spatial: tuple[int, ...], include_pad: bool) -> Array:
    """Number of counted elements in each window: int64, one an output element."""
    if not include_pad:
        inside: Array = window_sum(windows, np.ones((1, 1, *spatial), np.int64))[0, 0]
        return inside
    rank = len(spatial)
    extents = tuple(
        extent + windows.pads[axis] + windows.pads[axis + rank]
        for axis, extent in enumerate(spatial)
    )
    # The padding is part of the input now. `ceil` may round up once more, so the windows that
    # the true geometry does not have are cut off.
    whole = Windows(
        windows.kernel, windows.strides, (0,) * 2 * rank, windows.dilations, windows.ceil
    )
    counts: Array = window_sum(whole, np.ones((1, 1, *extents), np.int64))[0, 0]
    kept: Array = counts[tuple(slice(0, count) for count in windows.output(spatial))]
    return kept


def _pooled(windows: Windows, type_: TensorType) -> TensorType:
    expect_spatial(type_, len(windows.kernel))
    return type_.with_shape((*type_.shape[:2], *windows.output(type_.shape[2:])))


def _smallest(dtype: np.dtype[np.generic]) -> float:
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)  # type: ignore[type-var]
