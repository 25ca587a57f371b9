"""Reductions that are sums of functions, products of few elements, running sums, and positions."""

from __future__ import annotations

from math import prod

import numpy as np

from ...ir import DType, Node, Value
from ...ir.ops.cast import Cast
from ...ir.ops.compare import Compare, Relation
from ...ir.ops.linear import MatMul
from ...ir.ops.logic import Where
from ...ir.ops.math import Function
from ...ir.ops.pooling import GlobalAveragePool
from ...ir.ops.reduce import Position, Reduce, Reduction, Running, reduced_shape
from .arithmetic import power
from .registry import decomposes
from .steps import Steps, is_f32

_FACTORS = 32  # a product of more elements would lose all digits on codes
_NUMBERS = 256  # as many have codes
_PLAIN = (Reduction.SUM, Reduction.MEAN, Reduction.MAX, Reduction.MIN, Reduction.PROD)


@decomposes(Reduce)
def reduction(steps: Steps, node: Node) -> Value | None:
    """Plain sums, means and extremes stay, but for those of nothing and means over images."""
    assert isinstance(node.op, Reduce)
    (x,), op = steps.operands, node.op
    extents = [x.type.shape[axis] for axis in op.axes]
    if op.reduction in _PLAIN and set(extents) <= {1}:
        return steps.reshape(x, node.results[0].type.shape)
    if not is_f32(x):
        return None
    match op.reduction:
        case Reduction.MEAN:
            return _mean_of_images(steps, x, op)
        case Reduction.L1:
            return steps.reduce(Reduction.SUM, steps.math(Function.ABS, x), op.axes, op.keep)
        case Reduction.SUM_SQUARE:
            return _sum_of_squares(steps, x, op)
        case Reduction.L2:
            return steps.math(Function.SQRT, _sum_of_squares(steps, x, op))
        case Reduction.LOG_SUM:
            total = steps.reduce(Reduction.SUM, x, op.axes, op.keep)
            return steps.math(Function.LOG, total)
        case Reduction.LOG_SUM_EXP:
            return _log_sum_exp(steps, x, op)
        case Reduction.PROD if prod(extents) <= _FACTORS:
            return _product(steps, x, op)
    return None


def _mean_of_images(steps: Steps, x: Value, op: Reduce) -> Value | None:
    """Over all spatial axes: global average pooling."""
    rank = x.type.rank
    if not 3 <= rank <= 5 or sorted(op.axes) != list(range(2, rank)):
        return None
    mean = steps.add(GlobalAveragePool(), x)
    return steps.reshape(mean, reduced_shape(x.type.shape, op.axes, op.keep))


def _sum_of_squares(steps: Steps, x: Value, op: Reduce) -> Value:
    return steps.reduce(Reduction.SUM, power(steps, x, 2.0), op.axes, op.keep)


def _log_sum_exp(steps: Steps, x: Value, op: Reduce) -> Value:
    """With the maximum taken off, so that no exponential overflows."""
    highest = steps.reduce(Reduction.MAX, x, op.axes)
    exponential = steps.math(Function.EXP, steps.minus(x, highest))
    logarithm = steps.math(Function.LOG, steps.reduce(Reduction.SUM, exponential, op.axes))
    total = steps.plus(logarithm, highest)
    return steps.reshape(total, reduced_shape(x.type.shape, op.axes, op.keep))


def _product(steps: Steps, x: Value, op: Reduce) -> Value:
    """Halves are multiplied by each other until one element is left."""
    y = x
    for axis in op.axes:
        while (extent := y.type.shape[axis]) > 1:
            half = extent // 2
            halves = (steps.slice(y, axis, i * half, (i + 1) * half) for i in range(2))
            rest = [steps.slice(y, axis, 2 * half, extent)] if extent % 2 else []
            y = steps.concat([steps.times(*halves), *rest], axis)
    return steps.reshape(y, reduced_shape(x.type.shape, op.axes, op.keep))


@decomposes(Running)
def running_sum(steps: Steps, node: Node) -> Value | None:
    """A product with a triangular matrix of ones."""
    assert isinstance(node.op, Running)
    (x,), op = steps.operands, node.op
    if op.product:
        return None
    extent = x.type.shape[op.axis]
    number = np.arange(extent)
    ahead = number - number[:, None]  # the place of the result less that of the summand
    ahead = -ahead if op.reverse else ahead
    matrix = (ahead > 0 if op.exclusive else ahead >= 0).astype(np.float32)
    real = x if is_f32(x) else steps.add(Cast(DType.F32), x)
    rows = steps.reshape(real, (1, extent)) if x.type.rank == 1 else steps.to_last(real, op.axis)
    total = steps.add(MatMul(), rows, steps.constant(matrix, "triangle"))
    if x.type.rank == 1:
        total = steps.reshape(total, (extent,))
    return _as_before(steps, steps.from_last(total, op.axis), x)


def _as_before(steps: Steps, total: Value, x: Value) -> Value:
    """A real value in the type of x: the nearest whole number if that is an integer."""
    if is_f32(x):
        return total
    return steps.add(Cast(x.type.dtype), steps.math(Function.ROUND, total))


@decomposes(Position)
def position(steps: Steps, node: Node) -> Value | None:
    """The least or greatest of the numbers at which the extreme stands."""
    assert isinstance(node.op, Position)
    (x,), op = steps.operands, node.op
    shape = tuple(e if axis == op.axis else 1 for axis, e in enumerate(x.type.shape))
    extent = shape[op.axis]
    if not is_f32(x) or extent > _NUMBERS:
        return None
    extreme = steps.reduce(Reduction.MAX if op.largest else Reduction.MIN, x, (op.axis,))
    here = steps.add(Compare(Relation.EQUAL), x, extreme)
    numbers = steps.constant(np.arange(extent).reshape(shape), "numbers")
    behind = steps.constant(np.full((1,) * len(shape), 0 if op.last else extent - 1), "behind")
    found = steps.add(Where(), here, numbers, behind)
    return steps.reduce(Reduction.MAX if op.last else Reduction.MIN, found, (op.axis,), op.keep)
