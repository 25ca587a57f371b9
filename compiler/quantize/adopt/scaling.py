"""Scales and offsets behind a product, composed to one of each for every output channel.

``y = factor * p + offset`` in float64, p the product's own result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir import Array, Graph, Node, Value
from ...ir.ops.binary import Add, Div, Mul, Sub
from ...ir.ops.linear import Conv
from ...ir.ops.normalization import BatchNormalization
from ...ir.ops.quant import Dequantize
from ...ir.ops.unary import Affine
from ...ir.requant import dequantize

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """A factor and an offset for each output channel."""

    factor: Vector
    offset: Vector

    def then(self, factor: Vector | float, offset: Vector | float) -> Scaling:
        """The scaling followed by another one."""
        return Scaling(self.factor * factor, self.offset * factor + offset)


def real_constant(graph: Graph, value: Value) -> Array | None:
    """The real value of a constant, dequantized or not; None for what is computed."""
    array, producer = graph.constant(value), graph.producer(value)
    if array is not None or producer is None or not isinstance(producer.op, Dequantize):
        return array
    codes, params = graph.constant(producer.operands[0]), producer.operands[0].type.quant
    return None if codes is None or params is None else dequantize(codes, params)


def compose(graph: Graph, product: Node, steps: tuple[Node, ...], channels: int) -> Scaling | None:
    """All steps behind a product as one; None where one is not the same for a whole channel."""
    found = Scaling(np.ones(channels), np.zeros(channels))
    first = isinstance(product.op, Conv | BatchNormalization)
    axis = 1 if first else product.result.type.rank - 1
    for step in steps:
        one = _step(graph, step, axis, channels)
        if one is None:
            return None
        found = found.then(one.factor, one.offset)
    return found


def _step(graph: Graph, node: Node, axis: int, channels: int) -> Scaling | None:
    if isinstance(node.op, Affine):
        return Scaling(np.full(channels, node.op.scale), np.full(channels, node.op.offset))
    if isinstance(node.op, BatchNormalization):
        return _normalization(graph, node, node.op.epsilon) if axis == 1 else None
    left = real_constant(graph, node.operands[0])
    array = left if left is not None else real_constant(graph, node.operands[1])
    if array is None or node.result.type.shape[axis] != channels:
        return None
    vector = _along(array, node.result.type.rank, axis, channels)
    return None if vector is None else _arithmetic(node, vector, left is not None)


def _arithmetic(node: Node, vector: Vector, left: bool) -> Scaling | None:
    """Addition, subtraction, multiplication or division with the constant on one side."""
    one, zero = np.ones_like(vector), np.zeros_like(vector)
    match node.op:
        case Add():
            return Scaling(one, vector)
        case Sub():
            return Scaling(-one, vector) if left else Scaling(one, -vector)
        case Mul():
            return Scaling(vector, zero)
        case Div() if vector.all() and not left:
            return Scaling(1 / vector, zero)
    return None


def _normalization(graph: Graph, node: Node, epsilon: float) -> Scaling | None:
    arrays = [real_constant(graph, operand) for operand in node.operands[1:]]
    vectors = [array.astype(np.float64) for array in arrays if array is not None]
    if len(vectors) < len(arrays):
        return None
    scale, bias, mean, var = vectors
    factor = scale / np.sqrt(var + epsilon)
    return Scaling(factor, bias - factor * mean)


def _along(array: Array, rank: int, axis: int, channels: int) -> Vector | None:
    """A constant as one number for each channel; None where it varies along another axis."""
    if array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    if any(e != 1 for i, e in enumerate(shape) if i != axis):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), (channels,)).copy()
