"""Normalization by a sample's own statistics: Normalize, with constant scale and bias."""

from __future__ import annotations

from math import prod

import numpy as np

from ...ir import Node, Value
from ...ir.ops.binary import Mul
from ...ir.ops.layer_norm import GroupNormalization, LayerNormalization, RMSNormalization
from ...ir.ops.linear import Conv, MatMul
from ...ir.ops.math import Function
from ...ir.ops.normalization import LocalResponseNormalization, LogSoftmax
from ...ir.ops.normalize import Normalize
from ...ir.ops.reduce import Reduction
from .arithmetic import power
from .registry import decomposes
from .steps import Steps, is_f32


@decomposes(LayerNormalization)
def layer_normalization(steps: Steps, node: Node) -> Value | tuple[Value, ...]:
    """Over trailing axes; mean and inverse deviation by themselves where they are results."""
    assert isinstance(node.op, LayerNormalization)
    x, scale, *bias = steps.operands
    axes = tuple(range(node.op.axis, x.type.rank))
    y = _scaled(steps, Normalize(axes, node.op.epsilon), x, scale, *bias)
    if not node.op.statistics:
        return y
    mean = steps.reduce(Reduction.MEAN, x, axes)
    centred = steps.minus(x, mean)
    variance = steps.reduce(Reduction.MEAN, steps.add(Mul(), centred, centred), axes)
    deviation = steps.math(Function.SQRT, steps.affine(variance, 1.0, node.op.epsilon))
    return y, mean, steps.math(Function.RECIPROCAL, deviation)


@decomposes(RMSNormalization)
def rms_normalization(steps: Steps, node: Node) -> Value:
    """Over trailing axes, without a centre."""
    assert isinstance(node.op, RMSNormalization)
    x, scale = steps.operands
    axes = tuple(range(node.op.axis, x.type.rank))
    return _scaled(steps, Normalize(axes, node.op.epsilon, False), x, scale)


@decomposes(GroupNormalization)
def group_normalization(steps: Steps, node: Node) -> Value:
    """The channels of a group are an axis of their own, unless groups are channels."""
    assert isinstance(node.op, GroupNormalization)
    x, scale, bias = steps.operands
    shape, groups = x.type.shape, node.op.groups
    if groups == shape[1]:
        vector: tuple[int, ...] = (shape[1], *(1,) * (len(shape) - 2))
        parts, axes = x, tuple(range(2, len(shape)))
    else:
        vector, axes = (groups, shape[1] // groups, 1), (2, 3)
        parts = steps.reshape(x, (shape[0], *vector[:2], prod(shape[2:])))
    vectors = (steps.reshape(value, vector) for value in (scale, bias))
    return steps.reshape(_scaled(steps, Normalize(axes, node.op.epsilon), parts, *vectors), shape)


@decomposes(LogSoftmax)
def log_softmax(steps: Steps, node: Node) -> Value:
    """``d - log(sum(exp(d)))`` for distances d to the maximum: small probabilities keep digits."""
    assert isinstance(node.op, LogSoftmax)
    (x,), axes = steps.operands, (node.op.axis,)
    distance = steps.minus(x, steps.reduce(Reduction.MAX, x, axes))
    total = steps.reduce(Reduction.SUM, steps.math(Function.EXP, distance), axes)
    return steps.minus(distance, steps.math(Function.LOG, total))


@decomposes(LocalResponseNormalization)
def local_response(steps: Steps, node: Node) -> Value | None:
    """The weighted sum over neighbouring channels is a product with a banded matrix."""
    assert isinstance(node.op, LocalResponseNormalization)
    (x,), op = steps.operands, node.op
    if not is_f32(x):
        return None
    shape = x.type.shape
    number = np.arange(shape[1])
    ahead = number - number[:, None]
    before, after = (op.size - 1) // 2, op.size // 2
    band = np.where((ahead >= -before) & (ahead <= after), op.alpha / op.size, 0.0)
    offset = steps.constant(np.full(shape[1], op.bias, np.float32), "bias")
    squares = steps.times(x, x)
    if len(shape) == 2:
        weights = steps.constant(band.T.astype(np.float32), "band")
        total = steps.add(MatMul(), squares, weights, offset)
    else:
        flat = steps.reshape(squares, shape if len(shape) <= 5 else (*shape[:2], prod(shape[2:])))
        spatial = flat.type.rank - 2
        ones = (1,) * spatial
        weights = steps.constant(band.astype(np.float32).reshape(*band.shape, *ones), "band")
        conv = Conv(ones, (0,) * 2 * spatial, ones)
        total = steps.reshape(steps.add(conv, flat, weights, offset), shape)
    return steps.times(x, power(steps, total, -op.beta))


def _scaled(steps: Steps, normalize: Normalize, x: Value, *vectors: Value) -> Value:
    """Normalize, with constant scale and bias as its own; computed ones behind it."""
    if all(steps.array(vector) is not None for vector in vectors):
        return steps.add(normalize, x, *vectors)
    scale, *bias = vectors
    y = steps.times(steps.add(normalize, x), scale)
    return steps.plus(y, *bias) if bias else y
