"""Products of whole tensors, either of which may be computed."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.ops.binary import Add, Mul
from ...ir.ops.linear import Conv, MatrixProduct
from ...ir.ops.shape import Transpose
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from .windows import explicit_pads, spatial_rank, window_ints


@converts("MatMul", form=Form.WHOLE)
def matmul(conversion: Conversion) -> Value:
    """As NumPy multiplies."""
    return conversion.emit(MatrixProduct(), conversion.value(0), conversion.value(1))


@converts("Gemm", form=Form.WHOLE)
def gemm(conversion: Conversion) -> Value:
    """``alpha * A' @ B' + beta * C``."""
    a = _turned(conversion, 0, "transA")
    b = _turned(conversion, 1, "transB")
    alpha, beta = conversion.real("alpha", 1.0), conversion.real("beta", 1.0)
    if not conversion.has(2):
        product = conversion.emit(MatrixProduct(), a, b, step="" if alpha == 1 else "product")
        return _scaled(conversion, product, alpha, "")
    product = conversion.emit(MatrixProduct(), a, b, step="product")
    scaled = _scaled(conversion, product, alpha, "scaled")
    return conversion.emit(Add(), scaled, _scaled(conversion, conversion.value(2), beta, "bias"))


def _turned(conversion: Conversion, index: int, attribute: str) -> Value:
    matrix = conversion.value(index)
    if matrix.type.rank != 2:
        raise Rejection("IMC0209", f"Gemm has an operand with {matrix.type.rank} axes")
    if not conversion.integer(attribute, 0):
        return matrix
    return conversion.emit(Transpose((1, 0)), matrix, step=attribute)


def _scaled(conversion: Conversion, x: Value, factor: float, step: str) -> Value:
    if factor == 1:
        return x
    number = np.asarray(factor, x.type.dtype.numpy)
    constant = conversion.constant(number, conversion.name("factor"))
    return conversion.emit(Mul(), x, constant, step=step)


@converts("Conv", form=Form.WHOLE, constraints=(spatial_rank,))
def conv(conversion: Conversion) -> Value:
    """Weights and bias may be computed."""
    operands = [conversion.value(index) for index in range(len(conversion.operands))]
    x, w = (value.type for value in operands[:2])
    kernel = w.shape[2:]
    if w.rank != x.rank or conversion.ints("kernel_shape") not in (None, kernel):
        raise Rejection("IMC0209", f"Conv has weights {list(w.shape)} for {list(x.shape)}")
    strides = window_ints(conversion, "strides", len(kernel))
    dilations = window_ints(conversion, "dilations", len(kernel))
    pads = explicit_pads(conversion, x, kernel, strides, dilations)
    return conversion.emit(
        Conv(strides, pads, dilations, conversion.integer("group", 1)), *operands
    )
