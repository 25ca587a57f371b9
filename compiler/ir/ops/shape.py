"""Operators that move elements without computing: they work on floats and on codes alike.

Where axis 0 is the batch, all keep it, and attributes speak of shapes with batch 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_axis, expect_count, expect_lengths, expect_same


@op("reshape", Stage.ANY)
class Reshape(Op):
    """The same elements in row-major order under another shape."""

    shape: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The target shape."""
        expect_count(operands, 1)
        x = operands[0]
        if prod(self.shape) != x.size:
            raise OpError(
                f"shape is {list(self.shape)}, it must keep the {x.size} elements of "
                f"{list(x.shape)}"
            )
        expect_tensor_quantization(x)
        return (x.with_shape(self.shape),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 must stay."""
        kept = self.shape[:1] == operands[0].shape[:1]
        return "" if kept else f"shape is {list(self.shape)}, it must keep axis 0"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A view where possible."""
        x = inputs[0]
        if self.batch_problem(types):
            return (x.reshape(self.shape),)
        return (x.reshape(*x.shape[:1], *self.shape[1:]),)


@op("transpose", Stage.ANY)
class Transpose(Op):
    """Axes in another order: axis i of the result is axis ``perm[i]`` of x."""

    perm: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The permuted shape."""
        expect_count(operands, 1)
        x = operands[0]
        if sorted(self.perm) != list(range(x.rank)):
            raise OpError(f"perm is {list(self.perm)}, it must order the axes 0 to {x.rank - 1}")
        expect_tensor_quantization(x)
        return (x.with_shape(tuple(x.shape[axis] for axis in self.perm)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 must stay in place."""
        kept = self.perm[:1] == (0,)
        return "" if kept else f"perm is {list(self.perm)}, it must leave axis 0 in place"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A contiguous copy."""
        return (inputs[0].transpose(self.perm).copy(),)


@op("pad", Stage.ANY)
class Pad(Op):
    """Constant padding; on codes the constant is quantized first. Negative pads cut away."""

    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]
    value: float = 0.0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The padded shape."""
        expect_count(operands, 1)
        x = operands[0]
        expect_lengths({"pads_begin": self.pads_begin, "pads_end": self.pads_end}, x.rank)
        expect_tensor_quantization(x)
        pads = zip(x.shape, self.pads_begin, self.pads_end, strict=True)
        if any(extent + min(before, 0) + min(after, 0) < 0 for extent, before, after in pads):
            raise OpError(f"{self._text()}; they cut more away than {list(x.shape)} has")
        pads = zip(x.shape, self.pads_begin, self.pads_end, strict=True)
        return (x.with_shape(tuple(extent + before + after for extent, before, after in pads)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 must not change."""
        changes = any((*self.pads_begin[:1], *self.pads_end[:1]))
        return f"{self._text()}; they must be 0 on the batch axis" if changes else ""

    def _text(self) -> str:
        return f"pads_begin is {list(self.pads_begin)} and pads_end {list(self.pads_end)}"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Pad with the constant in the element type of x."""
        pads = zip(self.pads_begin, self.pads_end, strict=True)
        widths = [(max(begin, 0), max(end, 0)) for begin, end in pads]
        return (np.pad(self.cut(inputs[0]), widths, constant_values=self.constant(types[0])),)

    def cut(self, x: Array) -> Array:
        """The part of x that negative pads leave."""
        ends = (extent + min(end, 0) for extent, end in zip(x.shape, self.pads_end, strict=True))
        starts = (max(-begin, 0) for begin in self.pads_begin)
        return x[tuple(slice(start, end) for start, end in zip(starts, ends, strict=True))]

    def constant(self, x: TensorType) -> float:
        """The element that pads a tensor of this type: `value`, or its code."""
        if x.quant is None:
            return self.value
        code = np.rint(np.float32(self.value) / np.float32(x.quant.scale[0]))
        return int(np.clip(code + x.quant.zero_point[0], x.quant.low, x.quant.high))


@op("slice", Stage.ANY)
class Slice(Op):
    """Elements ``start, start + step, ...`` before `end` of every axis; all of a batch axis.

    Bounds are normalised: ``0 <= start <= extent`` and ``0 <= end <= extent``; with a negative
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
        expect_tensor_quantization(x)
        return (x.with_shape(tuple(self._extent(x, axis) for axis in range(x.rank))),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """All of axis 0, and something of the others, must stay."""
        whole = (self.starts[0], self.ends[0], self.steps[0]) == (0, operands[0].shape[0], 1)
        if not whole:
            return "the batch axis cannot be sliced"
        empty = [axis for axis in range(operands[0].rank) if not self._extent(operands[0], axis)]
        return f"nothing of axes {empty} is left" if empty else ""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A contiguous copy."""
        bounds = zip(self.starts, self.ends, self.steps, strict=True)
        slices = [slice(start, None if end < 0 else end, step) for start, end, step in bounds]
        if not self.batch_problem(types):
            slices[0] = slice(None)
        return (inputs[0][tuple(slices)].copy(),)

    def _extent(self, x: TensorType, axis: int) -> int:
        start, end, step = self.starts[axis], self.ends[axis], self.steps[axis]
        extent = x.shape[axis]
        if step == 0 or not 0 <= start <= extent or not -(step < 0) <= end <= extent:
            raise OpError(
                f"axis {axis} of extent {extent} cannot be sliced from {start} to {end} in steps "
                f"of {step}"
            )
        return len(range(start, end, step))


@op("concat", Stage.FLOAT)
class Concat(Op):
    """Operands one after the other along an axis other than a batch axis."""

    axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape with the extents along `axis` added."""
        expect_same(operands)
        shape = concatenated_shape(operands, self.axis)
        return (TensorType(operands[0].dtype, shape),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not joined to others."""
        return "" if self.axis else f"axis is 0, allowed are 1 to {operands[0].rank - 1}"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Join; constant operands are repeated for every sample."""
        if not self.axis:
            return (np.concatenate(inputs),)
        batch = max(len(x) for x in inputs)
        parts = [np.broadcast_to(x, (batch, *x.shape[1:])) for x in inputs]
        return (np.concatenate(parts, axis=self.axis),)


class PadKind(StrEnum):
    """What padding is made of, in ONNX's words."""

    REFLECT = "reflect"
    EDGE = "edge"
    WRAP = "wrap"


@op("pad_copies", Stage.FLOAT)
class PadCopies(Op):
    """Padding with elements of the tensor itself."""

    kind: PadKind
    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The padded shape."""
        if min([0, *self.pads_begin, *self.pads_end]) < 0:
            raise OpError("pads must not be negative where elements are copied")
        return Pad(self.pads_begin, self.pads_end).infer(operands)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 must not grow."""
        return Pad(self.pads_begin, self.pads_end).batch_problem(operands)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """As NumPy pads in the mode of this name."""
        widths = list(zip(self.pads_begin, self.pads_end, strict=True))
        if self.kind is PadKind.REFLECT:
            return (np.pad(inputs[0], widths, mode="reflect"),)
        return (np.pad(inputs[0], widths, mode="edge" if self.kind is PadKind.EDGE else "wrap"),)


@op("expand", Stage.ANY)
class Expand(Op):
    """Broadcast to a shape, which may have more axes."""

    shape: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The target shape."""
        expect_count(operands, 1)
        x = operands[0]
        expect_tensor_quantization(x)
        try:
            fits = np.broadcast_shapes(x.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise OpError(f"{list(x.shape)} does not broadcast to {list(self.shape)}")
        return (x.with_shape(self.shape),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Rank and axis 0 must stay."""
        kept = len(self.shape) == operands[0].rank and self.shape[:1] == operands[0].shape[:1]
        return "" if kept else f"shape is {list(self.shape)}, it must keep rank and axis 0"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A copy."""
        x = inputs[0]
        first = self.shape[:1] if self.batch_problem(types) else x.shape[:1]
        return (np.broadcast_to(x, (*first, *self.shape[1:])).copy(),)


@op("tile", Stage.FLOAT)
class Tile(Op):
    """The tensor repeated along each axis."""

    repeats: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Extents times repeats."""
        expect_count(operands, 1)
        expect_same(operands)
        x = operands[0]
        expect_lengths({"repeats": self.repeats}, x.rank)
        if min([0, *self.repeats]) < 0:
            raise OpError(f"repeats is {list(self.repeats)}; none may be negative")
        extents = zip(x.shape, self.repeats, strict=True)
        return (x.with_shape(tuple(extent * count for extent, count in extents)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not repeated."""
        return "" if self.repeats[:1] == (1,) else f"repeats is {list(self.repeats)}, not 1 first"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """As NumPy tiles."""
        return (np.tile(inputs[0], self.repeats),)


def concatenated_shape(operands: Sequence[TensorType], axis: int) -> tuple[int, ...]:
    """Shape of a concatenation; raises `OpError` where other extents differ."""
    if not operands:
        raise OpError("takes at least 1 operand, got 0")
    first = operands[0].shape
    expect_axis(axis, len(first))
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
