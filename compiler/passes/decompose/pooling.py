"""Pooling by norms."""

from __future__ import annotations

from math import prod

from ...ir import Node, Value
from ...ir.ops.math import Function
from ...ir.ops.pooling import AveragePool, LpPool
from .arithmetic import power
from .registry import decomposes
from .steps import Steps, is_f32


@decomposes(LpPool)
def lp_pool(steps: Steps, node: Node) -> Value | None:
    """A mean of powers that counts padding, times the size of the window; then the root."""
    assert isinstance(node.op, LpPool)
    (x,), op = steps.operands, node.op
    if not is_f32(x) or op.ceil or op.p < 1:  # rounding up makes windows of different sizes
        return None
    absolute = x if op.p == 2 else steps.math(Function.ABS, x)
    mean = AveragePool(op.kernel, op.strides, op.pads, False, True, op.dilations)
    averaged = steps.add(mean, power(steps, absolute, float(op.p)))
    return power(steps, steps.affine(averaged, float(prod(op.kernel))), 1 / op.p)
