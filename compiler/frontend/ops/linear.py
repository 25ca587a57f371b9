"""Conv, Gemm and MatMul: products with constant weights."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.binary import Add
from ...ir.ops.linear import Conv, MatMul, MatrixProduct
from ...ir.ops.shape import Reshape, Transpose
from ...ir.ops.unary import Affine
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from .windows import explicit_pads, spatial_rank, window_ints


def constant_weights(conversion: Conversion) -> str | None:
    """The weights (operand 1) and the bias (operand 2) are constant."""
    computed = [
        what
        for index, what in ((1, "weights"), (2, "bias"))
        if conversion.has(index) and not conversion.is_constant(index)
    ]
    return f"with computed {' and '.join(computed)}" if computed else None


def constant_matrix(conversion: Conversion) -> str | None:
    """The matrix (operand 1) is constant."""
    return None if conversion.is_constant(1) else "with a computed matrix"


def stacks_of_matrices(conversion: Conversion) -> str | None:
    """One of the operands is constant, or both have the same number of axes, at least three."""
    if conversion.is_constant(0) or conversion.is_constant(1):
        return None
    ranks = [conversion.type(index).rank for index in (0, 1)]
    fits = ranks[0] == ranks[1] > 2
    return None if fits else f"of computed operands with {ranks[0]} and {ranks[1]} axes"


def plain_first_operand(conversion: Conversion) -> str | None:
    """Operand 0 is not transposed, since its axis 0 is the batch."""
    return "with attribute transA" if conversion.integer("transA", 0) else None


@converts("Conv", constraints=(spatial_rank, constant_weights))
def conv(conversion: Conversion) -> Value:
    """Convolution; `auto_pad` becomes explicit padding."""
    x, weights = conversion.value(0), conversion.floats(1, "weights")
    if weights.ndim != x.type.rank:
        text = f"Conv has weights with {weights.ndim} axes on an input with {x.type.rank}"
        raise Rejection("IMC0209", text)
    kernel = weights.shape[2:]
    given = conversion.ints("kernel_shape")
    if given not in (None, kernel):
        text = f"attribute 'kernel_shape' of Conv is {list(given or ())}"
        raise Rejection("IMC0209", text, f"the weights have {list(kernel)}")
    strides = window_ints(conversion, "strides", len(kernel))
    dilations = window_ints(conversion, "dilations", len(kernel))
    pads = explicit_pads(conversion, x.type, kernel, strides, dilations)
    op = Conv(strides, pads, dilations, conversion.integer("group", 1))
    operands = [x, conversion.value(1)]
    if conversion.has(2):
        conversion.floats(2, "bias")
        operands.append(conversion.value(2))
    return conversion.emit(op, *operands)


@converts("Gemm", form=Form.SHARED, constraints=(constant_matrix, plain_first_operand))
def gemm(conversion: Conversion) -> Value:
    """``alpha * x @ B + beta * C``: factors go into the constants."""
    alpha, beta = conversion.real("alpha", 1.0), conversion.real("beta", 1.0)
    x, matrix = conversion.value(0), conversion.floats(1, "matrix")
    _expect_rank(conversion, x, matrix)
    transposed = bool(conversion.integer("transB", 0))
    weights = _matrix(conversion, matrix, transposed, alpha)
    matrix = matrix.T if transposed else matrix
    if not conversion.has(2):
        return conversion.emit(MatMul(), x, weights)
    if not conversion.is_constant(2):
        return _gemm_with_computed_bias(conversion, x, weights, beta)
    bias = conversion.floats(2, "bias")
    columns = matrix.shape[1]
    if bias.ndim > 2 or bias.shape not in ((), (1,), (columns,), (1, 1), (1, columns)):
        raise conversion.reject_batch(f"with a bias of shape {list(bias.shape)}")
    return conversion.emit(MatMul(), x, weights, _row(conversion, bias, columns, beta))


def _matrix(conversion: Conversion, matrix: Array, transposed: bool, alpha: float) -> Value:
    """The weights of Gemm; those of the model are codes if nothing is multiplied."""
    name, codes = conversion.node.proto.input[1], conversion.codes_of(1)
    if codes is not None and alpha == 1:
        return conversion.dequantized(codes.transposed((1, 0)) if transposed else codes, name)
    return conversion.constant(_scaled(matrix.T if transposed else matrix, alpha), name)


def _row(conversion: Conversion, bias: Array, columns: int, beta: float) -> Value:
    """The bias of Gemm as one number a column."""
    name, codes = conversion.node.proto.input[2], conversion.codes_of(2)
    flat = codes.reshaped((columns,)) if codes is not None and bias.size == columns else None
    if flat is not None and beta == 1:
        return conversion.dequantized(flat, name)
    row = np.broadcast_to(_scaled(bias, beta), (1, columns)).reshape(columns)
    return conversion.constant(row, name)


def _gemm_with_computed_bias(
    conversion: Conversion, x: Value, weights: Value, beta: float
) -> Value:
    bias = conversion.value(2)
    if bias.type.rank != 2:
        raise conversion.reject("with a computed bias of another rank", "it must have two axes")
    product = conversion.emit(MatMul(), x, weights, step="product")
    if beta != 1:
        bias = conversion.emit(Affine(beta, 0.0), bias, step="bias")
    return conversion.emit(Add(), product, bias)


def _expect_rank(conversion: Conversion, x: Value, matrix: Array) -> None:
    if x.type.rank != 2 or matrix.ndim != 2:
        text = f"Gemm has operands with {x.type.rank} and {matrix.ndim} axes"
        raise Rejection("IMC0209", text, "both need two")


def _scaled(array: Array, factor: float) -> Array:
    return array if factor == 1 else array * np.float32(factor)


@converts("MatMul", form=Form.SHARED, constraints=(stacks_of_matrices,))
def matmul(conversion: Conversion) -> Value:
    """Product with a constant on either side, or of two stacks of computed matrices."""
    if not (conversion.is_constant(0) or conversion.is_constant(1)):
        return conversion.emit(MatrixProduct(), conversion.value(0), conversion.value(1))
    if conversion.is_constant(0):
        return _matmul_from_left(conversion)
    x, weights = conversion.value(0), conversion.floats(1, "weights")
    if weights.ndim == 1:
        column = conversion.constant(weights[:, None], conversion.node.proto.input[1])
        product = conversion.emit(MatMul(), x, column, step="product")
        return conversion.emit(Reshape(product.type.shape[:-1]), product)
    matrix, name = _as_matrix(conversion, weights, x.type.rank), conversion.node.proto.input[1]
    codes = conversion.codes_of(1)
    flat = codes.reshaped(matrix.shape) if codes is not None else None
    kernel = (
        conversion.constant(matrix, name) if flat is None else conversion.dequantized(flat, name)
    )
    return conversion.emit(MatMul(), x, kernel)


def _matmul_from_left(conversion: Conversion) -> Value:
    """``A @ x`` is the transpose of ``x^T @ A^T``, over the last two axes."""
    weights, x = conversion.floats(0, "weights"), conversion.value(1)
    rank = x.type.rank
    if rank < 3:
        raise conversion.reject_batch("with a constant on the left of a matrix")
    matrix = _as_matrix(conversion, weights, rank).T
    swap = Transpose((*range(rank - 2), rank - 1, rank - 2))
    turned = conversion.emit(swap, x, step="turned")
    constant = conversion.constant(matrix, conversion.node.proto.input[0])
    product = conversion.emit(MatMul(), turned, constant, step="product")
    return conversion.emit(swap, product)


def _as_matrix(conversion: Conversion, weights: Array, rank: int) -> Array:
    """Drop leading axes of extent 1."""
    if weights.ndim < 2 or weights.ndim > rank or set(weights.shape[:-2]) - {1}:
        raise conversion.reject(
            f"with weights of shape {list(weights.shape)}",
            "weights are one matrix, the same for the whole batch",
        )
    return weights.reshape(weights.shape[-2:])
