"""Building what takes the place of one node: the operators that decompositions are written in."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from ...ir import Array, Node, Op, TensorType, Value
from ...ir.ops.binary import Add, Mul, Sub
from ...ir.ops.math import Function, Math
from ...ir.ops.reduce import Reduce, Reduction
from ...ir.ops.shape import Concat, Expand, Reshape, Slice, Transpose
from ...ir.ops.unary import Affine, Clip
from ..rewrite import Rewriter


class Steps:
    """Adds nodes in place of one node, with its origin; `operands` are those of the new graph."""

    def __init__(self, builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> None:
        self.builder = builder
        self.operands = operands
        self._node = node
        self._prefix = f"{node.results[0].name}/"
        self._shared: dict[str, Value] = {}

    def add(self, op: Op, *operands: Value) -> Value:
        """A node with one result."""
        name = f"{self._prefix}{op.name}"
        return self.builder.add(op, operands, name, self._node.origin)

    def made(self, value: Value) -> bool:
        """Whether the value was made here."""
        return value.name.startswith(self._prefix)

    # -- constants -----------------------------------------------------------------------------

    def array(self, value: Value) -> Array | None:
        """The array of a constant; None for what is computed."""
        return self.builder.constant_array(value)

    def scalar(self, value: Value) -> float | None:
        """The number that a constant of one element holds; None for all other values."""
        array = self.array(value)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def constant(self, array: Array, what: str) -> Value:
        """A constant of the graph."""
        return self.builder.constant(array, self._prefix + what)

    def shared(self, array: Array, what: str) -> Value:
        """A constant that is made once, however often it is asked for."""
        if what not in self._shared:
            self._shared[what] = self.constant(array, what)
        return self._shared[what]

    def like(self, x: Value, array: Array, what: str) -> Value:
        """A constant in the element type of x."""
        return self.constant(np.asarray(array).astype(x.type.dtype.numpy), what)

    # -- elements that move --------------------------------------------------------------------

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """The elements in another shape, if it differs; a constant stays one."""
        array = self.array(x)
        if x.type.shape == tuple(shape):
            return x
        if array is not None:
            return self.constant(array.reshape(shape), "reshaped")
        return self.add(Reshape(tuple(shape)), x)

    def transpose(self, x: Value, perm: Sequence[int]) -> Value:
        """The axes in another order, if it differs; a constant stays one."""
        array = self.array(x)
        if tuple(perm) == tuple(range(x.type.rank)):
            return x
        if array is not None:
            return self.constant(array.transpose(perm), "turned")
        return self.add(Transpose(tuple(perm)), x)

    def swap_last(self, x: Value) -> Value:
        """The last two axes exchanged."""
        rank = x.type.rank
        return self.transpose(x, (*range(rank - 2), rank - 1, rank - 2))

    def to_last(self, x: Value, axis: int) -> Value:
        """One axis behind all others."""
        return self.transpose(x, (*(a for a in range(x.type.rank) if a != axis), axis))

    def from_last(self, x: Value, axis: int) -> Value:
        """The last axis back to its place: the inverse of `to_last`."""
        rank = x.type.rank
        return self.transpose(x, (*range(axis), rank - 1, *range(axis, rank - 1)))

    def slice(self, x: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
        """Elements along one axis, if some are cut off; bounds as those of `Slice`."""
        shape = x.type.shape
        if (start, end, step) == (0, shape[axis], 1):
            return x
        starts, ends, steps = [0] * len(shape), list(shape), [1] * len(shape)
        starts[axis], ends[axis], steps[axis] = start, end, step
        return self.add(Slice(tuple(starts), tuple(ends), tuple(steps)), x)

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        """Values one after the other; a single one stays itself."""
        return values[0] if len(values) == 1 else self.add(Concat(axis), *values)

    def expand(self, x: Value, shape: Sequence[int]) -> Value:
        """Axes of extent 1 repeated, if the shape differs."""
        return x if x.type.shape == tuple(shape) else self.add(Expand(tuple(shape)), x)

    # -- arithmetic ----------------------------------------------------------------------------

    def plus(self, a: Value, b: Value) -> Value:
        """``a + b``."""
        return self.add(Add(), a, b)

    def minus(self, a: Value, b: Value) -> Value:
        """``a - b``."""
        return self.add(Sub(), a, b)

    def times(self, a: Value, b: Value) -> Value:
        """``a * b``."""
        return self.add(Mul(), a, b)

    def affine(self, x: Value, scale: float = 1.0, offset: float = 0.0) -> Value:
        """``x * scale + offset``, if that is not x itself."""
        return x if (scale, offset) == (1, 0) else self.add(Affine(scale, offset), x)

    def clip(self, x: Value, low: float = -inf, high: float = inf) -> Value:
        """``min(max(x, low), high)``."""
        return self.add(Clip(low, high), x)

    def math(self, function: Function, x: Value) -> Value:
        """A mathematical function."""
        return self.add(Math(function), x)

    def reduce(self, kind: Reduction, x: Value, axes: Sequence[int], keep: bool = True) -> Value:
        """A reduction over axes."""
        return self.add(Reduce(kind, tuple(axes), keep), x)


def is_f32(*values: Value | TensorType) -> bool:
    """Whether all values have elements of float32, in which alone quantization computes."""
    types = (value.type if isinstance(value, Value) else value for value in values)
    return all(type_.dtype == "f32" and type_.quant is None for type_ in types)
