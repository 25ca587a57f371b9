"""Activations with one parameter a channel."""

from __future__ import annotations

from math import inf

from ...ir import Node, Value
from ...ir.ops.binary import PRelu
from ...ir.ops.unary import LeakyRelu, Relu
from .registry import decomposes
from .steps import Steps, is_f32


@decomposes(PRelu)
def prelu(steps: Steps, node: Node) -> Value | None:
    """One slope is a leaky Relu; several scale the negative part, which is added again."""
    x, slope = steps.operands
    if not is_f32(x, slope):
        return None
    number = steps.scalar(slope)
    if number is not None and slope.type.rank <= x.type.rank:
        return steps.add(LeakyRelu(number), x)
    negative = steps.times(steps.clip(x, -inf, 0.0), slope)
    return steps.plus(steps.add(Relu(), x), negative)
