"""The pass `lower-batch-norm`: what is left of per-channel arithmetic becomes convolution.

A scale f and an offset g for each channel are a depthwise convolution with a window of one
element: ``y[c, p] = f[c] * x[c, p] + g[c]``, weights ``[C, 1, 1, ...]``, group C. Values without
spatial axes, or with more than three, pass through the shape ``[1, C, positions]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from ..errors import VerificationError
from ..ir import Graph, Node, Value
from ..ir.ops.binary import Add, Mul
from ..ir.ops.linear import Conv
from ..ir.ops.normalization import BatchNormalization
from ..ir.ops.shape import Reshape
from .base import Pass, PassContext
from .canonicalize_products import add_into_product, constant_operand, mul_into_product
from .decompose.steps import is_f32
from .fold_batch_norm import channel_affine, fold_batch_norm
from .products import Vector, along_axis
from .rewrite import Rewriter, rewrite


@dataclass(frozen=True)
class LowerBatchNorm(Pass):
    """Turns per-channel scales and offsets into depthwise convolutions.

    1. BatchNormalization, Mul and Add with one number for each channel are folded into the
       product before them where that is possible.
    2. BatchNormalization(x) becomes a depthwise Conv with weights f and bias g.
    3. Mul(x, c) and Add(x, c) with constant c varying along axis 1 become a depthwise Conv with
       weights c, or with weights 1 and bias c.
    """

    name: ClassVar[str] = "lower-batch-norm"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph without batch normalization."""
        rules = {
            BatchNormalization: (fold_batch_norm, lower_batch_norm),
            Mul: (mul_into_product, lower_mul),
            Add: (add_into_product, lower_add),
        }
        return rewrite(graph, rules, context.notes)

    def ensures(self, graph: Graph) -> None:
        """No batch normalization with constant parameters is left."""
        left = [
            node.label
            for node in graph.nodes
            if isinstance(node.op, BatchNormalization)
            and all(graph.constant(operand) is not None for operand in node.operands[1:])
        ]
        if left:
            raise VerificationError(f"batch normalizations are left: {', '.join(left)}")


def lower_batch_norm(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Rule 2."""
    affine = channel_affine(builder, node, operands)
    return None if affine is None else _depthwise(builder, node, operands[0], *affine)


def lower_mul(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Rule 3 for a product."""
    found = _per_channel(builder, operands)
    return None if found is None else _depthwise(builder, node, *found, np.zeros(len(found[1])))


def lower_add(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Rule 3 for a sum."""
    found = _per_channel(builder, operands)
    if found is None:
        return None
    x, offset = found
    return _depthwise(builder, node, x, np.ones(len(offset)), offset)


def _per_channel(builder: Rewriter, operands: tuple[Value, ...]) -> tuple[Value, Vector] | None:
    found = constant_operand(builder, operands)
    if found is None or found[0].type.rank < 2 or not is_f32(found[0]):
        return None
    x, array = found
    vector = along_axis(array, x.type, 1)
    return None if vector is None else (x, vector)


def _depthwise(builder: Rewriter, node: Node, x: Value, factor: Vector, offset: Vector) -> Value:
    shape, name = x.type.shape, node.result.name
    direct = 3 <= len(shape) <= 5
    positions = shape if direct else (1, shape[1], prod(shape[2:]))
    spatial = len(positions) - 2
    weights = factor.astype(np.float32).reshape(-1, *([1] * (1 + spatial)))
    ones = (1,) * spatial
    op = Conv(ones, (0,) * 2 * spatial, ones, len(factor))
    constants = [
        builder.constant(weights, f"{name}/scale"),
        builder.constant(offset.astype(np.float32), f"{name}/offset"),
    ]
    if direct:
        return builder.replace(node, op, x, *constants)
    flat = builder.add(Reshape(positions), [x], f"{name}/flat", node.origin)
    scaled = builder.add(op, [flat, *constants], f"{name}/scaled", node.origin)
    return builder.replace(node, Reshape(shape), scaled)
