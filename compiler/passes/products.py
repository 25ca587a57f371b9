"""Folding a scale and an offset for each output channel into the product before it.

With weights w, bias b, factor f and offset g for output channel o::

    f[o] * (sum_k w[o, k] x[k] + b[o]) + g[o] = sum_k (f[o] w[o, k]) x[k] + (f[o] b[o] + g[o])

The new weights and bias are computed in float64 and rounded to float32 once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ir import Array, Node, TensorType, Value
from ..ir.ops.linear import Conv, MatMul
from ..ir.sketch import repeated
from .rewrite import Rewriter

Vector = NDArray[np.float64]


def output_axis(product: Node) -> int:
    """The axis of a product's result that counts output channels."""
    return 1 if isinstance(product.op, Conv) else product.result.type.rank - 1


def along_axis(array: Array, type_: TensorType, axis: int) -> Vector | None:
    """A constant operand as one number for each index of `axis` of a value of this type.

    None if the constant varies along another axis, or would change the shape.
    """
    if array.ndim > type_.rank:
        return None
    shape = (1,) * (type_.rank - array.ndim) + array.shape
    extent = type_.shape[axis]
    if any(e != 1 for i, e in enumerate(shape) if i != axis) or shape[axis] not in (1, extent):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), (extent,)).copy()


def absorbing_product(builder: Rewriter, value: Value) -> Node | None:
    """The product that makes `value`, if nothing else reads it and its weights are constant."""
    product = builder.producer_of(value, Conv, MatMul)
    if product is None or not builder.used_once(value):
        return None
    constant = all(builder.is_constant(operand) for operand in product.operands[1:])
    return product if constant else None


def fold_into_product(
    builder: Rewriter, node: Node, product: Node, factor: Vector | None, offset: Vector | None
) -> Value:
    """The product with factor and offset applied, in place of `node`."""
    x, weights, *biases = product.operands
    bias = builder.array(biases[0]).astype(np.float64) if biases else None
    if factor is not None:
        column = _column(factor, product)
        scaled = repeated(
            lambda array: (array.astype(np.float64) * column).astype(np.float32),
            builder.array(weights),
        )
        weights = builder.constant(scaled, weights.name)
        bias = None if bias is None else bias * factor
    if offset is not None:
        bias = offset if bias is None else bias + offset
    if bias is None:
        return builder.replace(node, product.op, x, weights, fused=(product,))
    name = biases[0].name if biases else f"{node.result.name}/bias"
    constant = builder.constant(bias.astype(np.float32), name)
    return builder.replace(node, product.op, x, weights, constant, fused=(product,))


def _column(factor: Vector, product: Node) -> Vector:
    """Factors shaped to scale the weights: ``[O, C, ...]`` of Conv, ``[K, N]`` of MatMul."""
    rank = product.operands[1].type.rank
    return factor.reshape(-1, *([1] * (rank - 1))) if isinstance(product.op, Conv) else factor
