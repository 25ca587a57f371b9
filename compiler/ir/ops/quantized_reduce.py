"""Reductions of codes over any axes but the batch: the largest code, sums and means."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..requant import Requant
from ..types import TensorType
from .checks import expect_axis
from .codes import byte_codes
from .reduce import reduced_shape

_STAGES = Stage.QUANTIZED | Stage.TILED
_ACCUMULATOR_LIMIT = 1 << 31
_LARGEST_CODE = 255  # also of signed codes less their zero point


def check_reduction(x: TensorType, axes: Sequence[int]) -> None:
    """Raise `OpError` where axes are not those of a reduction, or a sum of codes is too large."""
    _expect_axes(x, axes)
    bound = reduced_count(x, axes) * _LARGEST_CODE
    if bound >= _ACCUMULATOR_LIMIT:
        raise OpError(f"a sum of codes can reach {bound}, which does not fit 32 bits")


def _expect_axes(x: TensorType, axes: Sequence[int]) -> None:
    for axis in axes:
        expect_axis(axis, x.rank)
    if 0 in axes or len(set(axes)) < len(axes):
        raise OpError(f"axes are {list(axes)}; they must differ, and none is the batch axis 0")
    if not reduced_count(x, axes):
        raise OpError(f"nothing is left of {list(x.shape)} to be reduced over {list(axes)}")


def reduced_count(x: TensorType, axes: Sequence[int]) -> int:
    """How many elements become one."""
    return math.prod(x.shape[axis] for axis in axes)


def _reduced(x: Array, types: Sequence[TensorType], axes: Sequence[int], keep: bool) -> Array:
    """`x`, already reduced with extents 1, in the shape of the result."""
    return x.reshape(len(x), *reduced_shape(types[0].shape, axes, keep)[1:])


@op("qreduce_max", _STAGES)
class QReduceMax(Op):
    """Largest code over `axes`, which keep extent 1 or vanish: the codes of the largest values."""

    axes: tuple[int, ...]
    keep: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes with the parameters of the operand, in the smaller shape."""
        (x,) = operands
        byte_codes(x)
        _expect_axes(x, self.axes)
        return (x.with_shape(reduced_shape(x.shape, self.axes, self.keep)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The maximum."""
        found = inputs[0].max(axis=self.axes, keepdims=True)
        return (_reduced(found, types, self.axes, self.keep),)


@op("qreduce_sum", _STAGES)
class QReduceSum(Op):
    """Sum over `axes`: ``requantize(sum (x - zx))``; with `mean` it is divided by their number.

    The scale of the output stage is ``f32(sx) / f32(sy * count)``, the count being 1 for a sum.
    onnxruntime sums rounded floats instead, and differs by one step where a result is close to
    the middle between two codes.
    """

    axes: tuple[int, ...]
    keep: bool
    mean: bool
    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the smaller shape."""
        (x,) = operands
        byte_codes(x)
        check_reduction(x, self.axes)
        return (self.requant.type(reduced_shape(x.shape, self.axes, self.keep)),)

    def bias(self, types: Sequence[TensorType]) -> int:
        """What the zero points add to a sum of codes, negated."""
        return -byte_codes(types[0]).zero_point[0] * reduced_count(types[0], self.axes)

    def scale(self, types: Sequence[TensorType]) -> np.float32:
        """Scale from sum to output codes."""
        count = np.float32(reduced_count(types[0], self.axes) if self.mean else 1)
        scale = np.float32(byte_codes(types[0]).scale[0]) / (self.requant.scale * count)
        return np.float32(scale)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact sums, then the output stage."""
        sums = inputs[0].sum(axis=self.axes, keepdims=True, dtype=np.int64) + self.bias(types)
        found = self.requant.apply(sums, np.asarray(self.scale(types)))
        return (_reduced(found, types, self.axes, self.keep),)
