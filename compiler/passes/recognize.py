"""The pass `recognize`: normalizations that exporters write out in parts become one operator.

On codes the parts would lose what the whole keeps: a variance of eight bits is worth little, while
a normalization on codes has exact statistics. Parts that others read as well stay for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from ..ir import Graph, Node, Value
from ..ir.ops.binary import Add, Div, Maximum, Mul, Power, Sub
from ..ir.ops.constant_operand import WithConstant
from ..ir.ops.math import Function, Math
from ..ir.ops.normalize import Normalize
from ..ir.ops.pooling import GlobalAveragePool
from ..ir.ops.reduce import Reduce, Reduction
from ..ir.ops.shape import Expand, Reshape
from ..ir.ops.unary import Affine, Clip
from .base import Pass, PassContext
from .rewrite import Rewriter, Rules, rewrite


@dataclass(frozen=True)
class Recognize(Pass):
    """Finds normalizations that are written as means, differences, squares and roots.

    1. ``d / sqrt(mean(d^2) + e)`` with ``d = x - mean(x)``, also as a product with the reciprocal
       root, becomes a Normalize of x; scale and offset behind it are left to `canonicalize`.
    2. Without a mean that is taken off it becomes a Normalize without centre.
    3. ``x / max(sqrt(sum(x^2)), e)`` becomes a Normalize without centre, times 1 / sqrt(n), with
       ``e^2 / n`` in place of the bound.
    """

    name: ClassVar[str] = "recognize"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph with whole normalizations."""
        rules: Rules = {Div: (by_deviation, by_norm), Mul: (by_reciprocal,)}
        return rewrite(graph, rules, context.notes)


def by_deviation(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """``d / sqrt(mean(d^2) + e)``."""
    return _normalized(builder, node, operands[0], operands[1])


def by_reciprocal(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """``d * (1 / sqrt(mean(d^2) + e))``, either operand first."""
    for x, other in (operands, operands[::-1]):
        root = _inverted(builder, other)
        found = None if root is None else _normalized(builder, node, x, root)
        if found is not None:
            return found
    return None


def by_norm(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """``x / max(sqrt(sum(x^2)), e)``, as `torch.nn.functional.normalize` is exported."""
    x, divisor = operands
    spread = builder.producer_of(divisor, Expand)
    norm, bound = _bounded(builder, spread.operands[0] if spread else divisor)
    axes = _norm_axes(builder, norm, x) if bound > 0 else None
    if axes is None or node.result.type != x.type:
        return None
    count = prod(x.type.shape[axis] for axis in axes)
    rows = builder.add(
        Normalize(axes, bound**2 / count, False), [x], f"{node.result.name}/rows", node.origin
    )
    return builder.replace(node, Affine(count**-0.5, 0.0), rows)


def _bounded(builder: Rewriter, value: Value) -> tuple[Value, float]:
    """The x and e of ``max(x, e)``; e is 0 for other values."""
    node = builder.producer_of(value, Clip, Maximum)
    if node is not None and isinstance(node.op, Clip):
        return node.operands[0], node.op.low if node.op.high == np.inf else 0.0
    number = None if node is None else _number(builder, node.operands[1])
    return (value, 0.0) if node is None or number is None else (node.operands[0], number)


def _normalized(builder: Rewriter, node: Node, x: Value, root: Value) -> Value | None:
    """``x / root`` as a Normalize, if `root` is the deviation of x, or its root mean square."""
    found = _root_mean_square(builder, root)
    if found is None or found[0] != x or node.result.type != x.type:
        return None
    _, axes, epsilon = found
    centred = _centred(builder, x, axes)
    op = Normalize(axes, epsilon, centred is not None)
    return builder.replace(node, op, x if centred is None else centred)


def _root_mean_square(
    builder: Rewriter, root: Value
) -> tuple[Value, tuple[int, ...], float] | None:
    """d, axes and e of ``sqrt(mean(d^2) + e)``."""
    sqrt = _function(builder, root, Function.SQRT, 0.5)
    if sqrt is None:
        return None
    value, epsilon = _without_offset(builder, sqrt)
    mean = _mean(builder, value)
    squared = None if mean is None else _squared(builder, mean[0])
    if mean is None or squared is None or epsilon < 0:
        return None
    return squared, mean[1], epsilon


def _inverted(builder: Rewriter, value: Value) -> Value | None:
    """The x of ``1 / x``."""
    found = _function(builder, value, Function.RECIPROCAL, -1.0)
    if found is not None:
        return found
    quotient = builder.producer_of(value, Div)
    one = quotient is not None and _number(builder, quotient.operands[0]) == 1
    return quotient.operands[1] if quotient is not None and one else None


def _function(builder: Rewriter, value: Value, function: Function, exponent: float) -> Value | None:
    """The operand of a function, which may be written as a power."""
    node = builder.producer_of(value, Math)
    if node is not None and node.op == Math(function):
        return node.operands[0]
    return _base(builder, value, exponent)


def _base(builder: Rewriter, value: Value, exponent: float) -> Value | None:
    """The x of ``x ** exponent``."""
    node = builder.producer_of(value, Power, WithConstant)
    if node is None:
        return None
    if isinstance(node.op, WithConstant):
        return node.operands[0] if node.op == WithConstant(Power(), exponent) else None
    return node.operands[0] if _number(builder, node.operands[1]) == exponent else None


def _squared(builder: Rewriter, value: Value) -> Value | None:
    """The x of ``x * x``."""
    node = builder.producer_of(value, Mul)
    if node is not None and node.operands[0] == node.operands[1]:
        return node.operands[0]
    return _base(builder, value, 2.0)


def _without_offset(builder: Rewriter, value: Value) -> tuple[Value, float]:
    """The x and e of ``x + e``."""
    node = builder.producer_of(value, Add, Affine)
    if node is None:
        return value, 0.0
    if isinstance(node.op, Affine):
        return (node.operands[0], node.op.offset) if node.op.scale == 1 else (value, 0.0)
    for x, other in (node.operands, node.operands[::-1]):
        number = _number(builder, other)
        if number is not None and x.type == value.type:
            return x, number
    return value, 0.0


def _mean(builder: Rewriter, value: Value) -> tuple[Value, tuple[int, ...]] | None:
    """The x and axes of a mean that keeps them."""
    node = builder.producer_of(value, Reduce, GlobalAveragePool)
    if node is None:
        return _mean_of_rows(builder, value)
    if isinstance(node.op, GlobalAveragePool):
        return node.operands[0], tuple(range(2, value.type.rank))
    assert isinstance(node.op, Reduce)
    plain = node.op.reduction is Reduction.MEAN and node.op.keep and node.op.axes
    return (node.operands[0], tuple(sorted(node.op.axes))) if plain else None


def _mean_of_rows(builder: Rewriter, value: Value) -> tuple[Value, tuple[int, ...]] | None:
    """The mean over the last axis, written as a global mean of rows ``[N, rows, length]``."""
    after = builder.producer_of(value, Reshape)
    pool = builder.producer_of(after.operands[0], GlobalAveragePool) if after else None
    before = builder.producer_of(pool.operands[0], Reshape) if pool else None
    if before is None or pool is None:
        return None
    x, rows = before.operands[0], before.result.type.shape
    if len(rows) != 3 or rows[2] != x.type.shape[-1] or rows[0] != x.type.shape[0]:
        return None
    kept = value.type.shape == (*x.type.shape[:-1], 1)
    return (x, (x.type.rank - 1,)) if kept else None


def _centred(builder: Rewriter, difference: Value, axes: tuple[int, ...]) -> Value | None:
    """The x of ``x - mean(x)`` over these axes."""
    node = builder.producer_of(difference, Sub)
    mean = None if node is None else _mean(builder, node.operands[1])
    return node.operands[0] if node is not None and mean == (node.operands[0], axes) else None


def _norm_axes(builder: Rewriter, norm: Value, x: Value) -> tuple[int, ...] | None:
    """Axes of ``sqrt(sum(x^2))`` that keeps them."""
    node = builder.producer_of(norm, Reduce)
    if node is None:
        root = _function(builder, norm, Function.SQRT, 0.5)
        node = None if root is None else builder.producer_of(root, Reduce)
        squared = None if node is None else _squared(builder, node.operands[0])
        kind, source = Reduction.SUM, squared
    else:
        kind, source = Reduction.L2, node.operands[0]
    if node is None or not isinstance(node.op, Reduce) or source != x:
        return None
    plain = node.op.reduction is kind and node.op.keep and node.op.axes
    return tuple(sorted(node.op.axes)) if plain else None


def _number(builder: Rewriter, value: Value) -> float | None:
    """The number that a constant of one element holds."""
    array = builder.constant_array(value)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None
