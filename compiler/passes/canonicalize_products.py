"""Canonical form of products: scales and offsets behind them go into weights and biases."""

from __future__ import annotations

import numpy as np

from ..ir import Array, Node, Value
from ..ir.ops.binary import Add, Mul
from ..ir.ops.unary import Affine
from .products import absorbing_product, along_axis, fold_into_product, output_axis
from .rewrite import Rewriter


def constant_operand(builder: Rewriter, operands: tuple[Value, ...]) -> tuple[Value, Array] | None:
    """The computed and the constant operand of a commutative operator with one of each."""
    a, b = operands
    array_a, array_b = builder.constant_array(a), builder.constant_array(b)
    if array_a is None and array_b is not None:
        return a, array_b
    if array_b is None and array_a is not None:
        return b, array_a
    return None


def add_into_product(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Add(product, c) with one number for each output channel: c joins the bias."""
    found = constant_operand(builder, operands)
    product = absorbing_product(builder, found[0]) if found else None
    if found is None or product is None:
        return None
    offset = along_axis(found[1], found[0].type, output_axis(product))
    return None if offset is None else fold_into_product(builder, node, product, None, offset)


def mul_into_product(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Mul(product, c) with one number for each output channel: c scales weights and bias."""
    found = constant_operand(builder, operands)
    product = absorbing_product(builder, found[0]) if found else None
    if found is None or product is None:
        return None
    factor = along_axis(found[1], found[0].type, output_axis(product))
    return None if factor is None else fold_into_product(builder, node, product, factor, None)


def affine_into_product(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Affine(product): scale and offset go into weights and bias."""
    assert isinstance(node.op, Affine)
    product = absorbing_product(builder, operands[0])
    if product is None:
        return None
    channels = operands[0].type.shape[output_axis(product)]
    factor = None if node.op.scale == 1 else np.full(channels, node.op.scale)
    offset = None if node.op.offset == 0 else np.full(channels, node.op.offset)
    return fold_into_product(builder, node, product, factor, offset)


def sub_to_add(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Sub(x, c) becomes Add(x, -c)."""
    array = builder.constant_array(operands[1])
    if array is None:
        return None
    negated = builder.constant(-array, f"{operands[1].name}/negated")
    return builder.replace(node, Add(), operands[0], negated)


def div_to_mul(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Div(x, c) becomes Mul(x, 1 / c), where every 1 / c is a finite number."""
    array = builder.constant_array(operands[1])
    if array is None or not np.all(np.abs(array) >= np.finfo(np.float32).tiny):
        return None
    inverse = builder.constant(1 / array, f"{operands[1].name}/inverse")
    return builder.replace(node, Mul(), operands[0], inverse)
