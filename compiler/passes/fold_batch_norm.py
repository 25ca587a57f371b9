"""The pass `fold-batch-norm`: batch normalization vanishes into the product before it.

In inference batch normalization is a scale and an offset for each channel::

    y = (x - mean) / sqrt(var + epsilon) * scale + bias = f * x + g
    f = scale / sqrt(var + epsilon)        g = bias - f * mean

which the weights and the bias of a convolution or matrix product take in (see `products`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..ir import Graph, Node, Value
from ..ir.ops.normalization import BatchNormalization
from .base import Pass, PassContext
from .products import Vector, absorbing_product, fold_into_product, output_axis
from .rewrite import Rewriter, rewrite


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Folds batch normalization into the convolution or matrix product before it.

    1. BatchNormalization(Conv(x, w, b)) becomes Conv(x, f w, f b + g).
    2. BatchNormalization(MatMul(x, w, b)) becomes MatMul(x, f w, f b + g), where axis 1 of the
       product counts output channels.

    The product must have no other user, and all parameters must be constant.
    """

    name: ClassVar[str] = "fold-batch-norm"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph with the batch normalizations that stand behind products folded."""
        return rewrite(graph, {BatchNormalization: (fold_batch_norm,)}, context.notes)


def fold_batch_norm(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Rules 1 and 2."""
    affine = channel_affine(builder, node, operands)
    product = absorbing_product(builder, operands[0])
    if affine is None or product is None:
        builder.note(
            node, "not folded: no product with constant weights and no other user stands before it"
        )
        return None
    if output_axis(product) != 1:
        builder.note(node, "not folded: axis 1 of the product before it does not count channels")
        return None
    return fold_into_product(builder, node, product, *affine)


def channel_affine(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> tuple[Vector, Vector] | None:
    """Scale f and offset g for each channel in float64; None if a parameter is computed."""
    assert isinstance(node.op, BatchNormalization)
    if not all(builder.is_constant(operand) for operand in operands[1:]):
        return None
    parameters = (builder.array(operand).astype(np.float64) for operand in operands[1:])
    scale, bias, mean, var = parameters
    factor = scale / np.sqrt(var + node.op.epsilon)
    return factor, bias - factor * mean
