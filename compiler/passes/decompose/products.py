"""Matrix products of two tensors: with a constant matrix they run on crossbars."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Node, Op, Value
from ...ir.ops.activation import Swish
from ...ir.ops.carried_state import CausalConv
from ...ir.ops.linear import Conv, MatMul, MatrixProduct
from ...ir.ops.quant import Dequantize
from .registry import decomposes
from .steps import Steps, is_f32


@decomposes(MatrixProduct)
def by_a_matrix(steps: Steps, node: Node) -> Value | None:
    """A constant matrix on the right is that of a MatMul."""
    assert isinstance(node.op, MatrixProduct)
    x, w = steps.operands
    if not is_f32(x, w) or x.type.rank < 1:
        return None
    array = steps.array(w)
    if array is None:
        return _by_codes(steps, x, w) if node.op.factor == 1 else None
    matrix = _as_matrix(array[:, None] if array.ndim == 1 else array)
    if matrix is None or steps.array(x) is not None:
        return None
    rows = steps.reshape(x, (1, *x.type.shape)) if x.type.rank == 1 else x
    product = steps.add(MatMul(), rows, _scaled(steps, node.op, matrix))
    return steps.reshape(product, node.results[0].type.shape)


def _by_codes(steps: Steps, x: Value, w: Value) -> Value | None:
    """The matrix of a quantized model: the codes of a constant, dequantized."""
    source = steps.builder.producer_of(w, Dequantize)
    constant = source is not None and steps.array(source.operands[0]) is not None
    if not constant or w.type.rank != 2 or x.type.rank < 2:
        return None
    return steps.add(MatMul(), x, w)


@decomposes(MatrixProduct)
def from_the_left(steps: Steps, node: Node) -> Value | None:
    """``A @ x`` with constant A is the transpose of ``x^T @ A^T``."""
    assert isinstance(node.op, MatrixProduct)
    w, x = steps.operands
    array = steps.array(w)
    if array is None or not is_f32(x, w) or steps.array(x) is not None:
        return None
    matrix = _as_matrix(array[None] if array.ndim == 1 else array)
    if matrix is None or x.type.rank < 1:
        return None
    turned = steps.reshape(x, (1, *x.type.shape)) if x.type.rank == 1 else steps.swap_last(x)
    product = steps.add(MatMul(), turned, _scaled(steps, node.op, matrix.T))
    whole = product if x.type.rank == 1 else steps.swap_last(product)
    return steps.reshape(whole, node.results[0].type.shape)


@decomposes(MatrixProduct)
def of_vectors(steps: Steps, node: Node) -> Value | None:
    """Computed vectors become matrices of one row or column."""
    a, b = steps.operands
    if 1 not in (a.type.rank, b.type.rank):
        return None
    left = steps.reshape(a, (1, *a.type.shape)) if a.type.rank == 1 else a
    right = steps.reshape(b, (*b.type.shape, 1)) if b.type.rank == 1 else b
    return steps.reshape(steps.add(node.op, left, right), node.results[0].type.shape)


def _scaled(steps: Steps, product: MatrixProduct, matrix: Array) -> Value:
    """The matrix as a constant, with the factor of the product in it."""
    factor = np.float32(product.factor)
    return steps.constant(matrix if factor == 1 else matrix * factor, "matrix")


def _as_matrix(array: Array) -> Array | None:
    """A matrix with leading axes of extent 1 as one with two axes."""
    if array.ndim < 2 or set(array.shape[:-2]) - {1}:
        return None
    return np.asarray(array.reshape(array.shape[-2:]))


@decomposes(CausalConv)
def causal_conv(steps: Steps, node: Node) -> tuple[Value, ...] | None:
    """A depthwise convolution of the past and x, one after the other."""
    assert isinstance(node.op, CausalConv)
    x, w, bias, past = steps.operands
    if steps.array(w) is None or steps.array(bias) is None or not is_f32(x):
        return None
    whole = steps.concat([past, x], 2)
    conv: Op = Conv((1,), (0, 0), (1,), x.type.shape[1])
    y = steps.add(conv, whole, w, bias)
    length = whole.type.shape[2]
    last = steps.slice(whole, 2, x.type.shape[2], length)
    return (steps.add(Swish(1.0), y) if node.op.silu else y), last
