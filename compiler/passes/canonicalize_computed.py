"""Canonical form of normalizations and computed products: scales and offsets become their own.

With a normalization ``n = scale * normalized(x) + bias``::

    factor * n + offset = (factor * scale) * normalized(x) + (factor * bias + offset)

and a product of two computed matrices commutes with a number: ``c * (a @ b) = (c * a) @ b``.
"""

from __future__ import annotations

import numpy as np

from ..ir import Array, Node, Value
from ..ir.ops.binary import Add, Mul
from ..ir.ops.linear import MatrixProduct
from ..ir.ops.normalize import Normalize
from ..ir.ops.unary import Affine
from .canonicalize_products import constant_operand
from .rewrite import Rewriter

_ONE, _ZERO = np.asarray(1.0), np.asarray(0.0)
# A factor between this and its inverse keeps the scale of the codes a normal number.
_LEAST = 2.0**-40


def scale_into_normalize(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> Value | None:
    """Mul, Add or Affine by constants behind a normalization go into its scale and bias."""
    found = _constants(builder, node, operands)
    if found is None or node.result.type != found[0].type:
        return None
    x, factor, offset = found
    before = builder.producer_of(x, Normalize)
    if before is None or not builder.used_once(x):
        return None
    if not all(builder.is_constant(operand) for operand in before.operands[1:]):
        return None
    own = [builder.array(operand).astype(np.float64) for operand in before.operands[1:]]
    scale = own[0] if own else _ONE
    bias = own[1] if len(own) > 1 else _ZERO
    affine = {"scale": scale * factor, "bias": bias * factor + offset}
    constants = [
        builder.constant(np.asarray(array, x.type.dtype.numpy), f"{node.result.name}/{what}")
        for what, array in affine.items()
    ]
    return builder.replace(node, before.op, before.operands[0], *constants, fused=(before,))


def _constants(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, Array, Array] | None:
    """The computed operand, and factor and offset (float64) of an affine map; None for others."""
    if isinstance(node.op, Affine):
        return operands[0], np.asarray(node.op.scale), np.asarray(node.op.offset)
    found = constant_operand(builder, operands)
    if found is None or not isinstance(node.op, Mul | Add):
        return None
    x, array = found[0], found[1].astype(np.float64)
    return (x, array, _ZERO) if isinstance(node.op, Mul) else (x, _ONE, array)


def factor_into_matrix_product(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> Value | None:
    """A product of computed matrices times a number above 0: the number becomes its factor."""
    found = _number(builder, node, operands)
    product = None if found is None else builder.producer_of(found[0], MatrixProduct)
    if found is None or product is None or not builder.used_once(found[0]):
        return None
    op = _times(product.op, found[1])
    return builder.replace(node, op, *product.operands, fused=(product,))


def factor_of_operand(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """A number above 0 that an operand of a product is multiplied by becomes its factor."""
    for index, operand in enumerate(operands):
        before = builder.producer_of(operand, Mul, Affine)
        found = None if before is None else _number(builder, before, before.operands)
        if before is None or found is None or not builder.used_once(operand):
            continue
        new = [found[0] if i == index else other for i, other in enumerate(operands)]
        return builder.replace(node, _times(node.op, found[1]), *new, fused=(before,))
    return None


def _number(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, float] | None:
    """The operand and the number above 0 that multiplies it; None where that is not all."""
    found = _constants(builder, node, operands)
    if found is None or found[1].size != 1 or np.any(found[2]):
        return None
    x, factor = found[0], float(found[1].reshape(-1)[0])
    keeps = node.result.type == x.type and x.type.dtype.is_float
    return (x, factor) if keeps and _LEAST < factor < 1 / _LEAST else None


def _times(op: object, factor: float) -> MatrixProduct:
    assert isinstance(op, MatrixProduct)
    return MatrixProduct(op.factor * factor)
