"""Operators that move elements without computing: they work on floats and on codes alike.

All keep axis 0, the batch. Attributes speak of shapes with batch 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_float, expect_lengths


@op("reshape", Stage.ANY)
class Reshape(Op):
    """The same elements in row-major order under another shape."""

    shape: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The target shape."""
        expect_count(operands, 1)
        x = operands[0]
        if self.shape[:1] != x.shape[:1] or prod(self.shape) != x.size:
            raise OpError(
                f"shape is {list(self.shape)}, it must keep axis 0 and the {x.size} elements of "
                f"{list(x.shape)}"
            )
        expect_tensor_quantization(x)
        return (x.with_shape(self.shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A view where possible."""
        return (inputs[0].reshape(len(inputs[0]), *self.shape[1:]),)


@op("transpose", Stage.ANY)
class Transpose(Op):
    """Axes in another order: axis i of the result is axis ``perm[i]`` of x."""

    perm: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The permuted shape."""
        expect_count(operands, 1)
        x = operands[0]
        if sorted(self.perm) != list(range(x.rank)) or self.perm[:1] != (0,):
            raise OpError(
                f"perm is {list(self.perm)}, it must order the axes 0 to {x.rank - 1} and leave "
                "axis 0 in place"
            )
        expect_tensor_quantization(x)
        return (x.with_shape(tuple(x.shape[axis] for axis in self.perm)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A contiguous copy."""
        return (np.ascontiguousarray(inputs[0].transpose(self.perm)),)


@op("pad", Stage.ANY)
class Pad(Op):
    """Constant padding; on codes the constant is quantized first."""

    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]
    value: float = 0.0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The padded shape."""
        expect_count(operands, 1)
        x = operands[0]
        expect_lengths({"pads_begin": self.pads_begin, "pads_end": self.pads_end}, x.rank)
        if min(*self.pads_begin, *self.pads_end) < 0 or self.pads_begin[0] or self.pads_end[0]:
            raise OpError(
                f"pads_begin is {list(self.pads_begin)} and pads_end {list(self.pads_end)}; they "
                "must not be negative, and 0 on the batch axis"
            )
        expect_tensor_quantization(x)
        pads = zip(x.shape, self.pads_begin, self.pads_end, strict=True)
        return (x.with_shape(tuple(extent + before + after for extent, before, after in pads)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Pad with the constant in the element type of x."""
        widths = list(zip(self.pads_begin, self.pads_end, strict=True))
        return (np.pad(inputs[0], widths, constant_values=self.constant(types[0])),)

    def constant(self, x: TensorType) -> float:
        """The element that pads a tensor of this type: `value`, or its code."""
        if x.quant is None:
            return self.value
        code = np.rint(np.float32(self.value) / np.float32(x.quant.scale[0]))
        return int(np.clip(code + x.quant.zero_point[0], x.quant.low, x.quant.high))


@op("slice", Stage.ANY)
class Slice(Op):
    """Elements ``start, start + step, ...`` before `end` of every axis; all of the batch axis.

    Bounds are normalised: ``0 <= start < extent`` and ``0 <= end <= extent``; with a negative
    step an end of -1 stands for the place before element 0.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape of what is left."""
        expect_count(operands, 1)
        x = operands[0]
        expect_lengths({"starts": self.starts, "ends": self.ends, "steps": self.steps}, x.rank)
        if (self.starts[0], self.ends[0], self.steps[0]) != (0, x.shape[0], 1):
            raise OpError("the batch axis cannot be sliced")
        expect_tensor_quantization(x)
        return (x.with_shape(tuple(self._extent(x, axis) for axis in range(x.rank))),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A contiguous copy."""
        bounds = zip(self.starts, self.ends, self.steps, strict=True)
        slices = [slice(start, None if end < 0 else end, step) for start, end, step in bounds]
        return (np.ascontiguousarray(inputs[0][(slice(None), *slices[1:])]),)

    def _extent(self, x: TensorType, axis: int) -> int:
        start, end, step = self.starts[axis], self.ends[axis], self.steps[axis]
        extent = x.shape[axis]
        if step == 0 or not 0 <= start < extent or not -(step < 0) <= end <= extent:
            raise OpError(
                f"axis {axis} of extent {extent} cannot be sliced from {start} to {end} in steps "
                f"of {step}"
            )
        taken = len(range(start, end, step))
        if not taken:
            raise OpError(f"nothing of axis {axis} is left from {start} to {end} by {step}")
        return taken


@op("concat", Stage.FLOAT)
class Concat(Op):
    """Operands one after the other along an axis other than the batch axis."""

    axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape with the extents along `axis` added."""
        expect_float(operands)
        shape = concatenated_shape(operands, self.axis)
        return (TensorType(DType.F32, shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Join; constant operands are repeated for every sample."""
        batch = max(len(x) for x in inputs)
        parts = [np.broadcast_to(x, (batch, *x.shape[1:])) for x in inputs]
        return (np.concatenate(parts, axis=self.axis),)


def concatenated_shape(operands: Sequence[TensorType], axis: int) -> tuple[int, ...]:
    """Shape of a concatenation; raises `OpError` where other extents differ."""
    if not operands:
        raise OpError("takes at least 1 operand, got 0")
    first = operands[0].shape
    if not 1 <= axis < len(first):
        raise OpError(f"axis is {axis}, allowed are 1 to {len(first) - 1}")
    for index, type_ in enumerate(operands):
        rest = (*type_.shape[:axis], *type_.shape[axis + 1 :])
        if type_.rank != len(first) or rest != (*first[:axis], *first[axis + 1 :]):
            raise OpError(
                f"operand {index} has shape {list(type_.shape)}, which differs from "
                f"{list(first)} outside axis {axis}"
            )
    return (*first[:axis], sum(type_.shape[axis] for type_ in operands), *first[axis + 1 :])


def expect_tensor_quantization(x: TensorType) -> None:
    """Codes that move share one scale: an axis of scales would not survive the move."""
    if x.quant is not None and x.quant.axis is not None:
        raise OpError("codes with a scale for each index of an axis cannot be moved")
