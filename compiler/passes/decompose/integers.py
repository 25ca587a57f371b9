"""Integer products and quantization whose parameters are no plain attributes, in real arithmetic.

Codes are whole numbers. Less their zero point, and times their scale, they are real values; what
is rounded to codes is clipped to those that there are.
"""

from __future__ import annotations

import numpy as np

from ...ir import Array, DType, Node, Op, OpError, Value
from ...ir.ops.cast import Cast
from ...ir.ops.integer_products import (
    ConvInteger,
    DequantizeLinear,
    MatMulInteger,
    QLinearMatMul,
    QuantizeLinear,
    columns,
    rows,
    spread,
)
from ...ir.ops.linear import Conv, MatrixProduct
from ...ir.ops.math import Function
from ...ir.ops.quant import Dequantize
from .registry import decomposes
from .steps import Steps

_BYTES = (DType.U8, DType.I8)
_ONE = np.ones((), np.float32)


@decomposes(MatMulInteger)
def matmul_integer(steps: Steps, node: Node) -> Value | None:
    """A product of codes less their zero points, which are constant."""
    a, b, *zeros = steps.operands
    za, zb = (_array(steps, zeros, index) for index in (0, 1))
    if za is None or zb is None:
        return None
    left, right = _real(steps, a, _ONE, rows(za)), _real(steps, b, _ONE, columns(zb))
    return _whole(steps, steps.add(MatrixProduct(), left, right), node)


@decomposes(ConvInteger)
def conv_integer(steps: Steps, node: Node) -> Value | None:
    """A convolution of codes less their zero points; weights and zero points are constant."""
    op, (x, w, *zeros) = node.op, steps.operands
    assert isinstance(op, ConvInteger)
    zx, zw = (_array(steps, zeros, index) for index in (0, 1))
    if zx is None or zw is None or steps.array(w) is None:
        return None
    conv: Op = Conv(op.strides, op.pads, op.dilations, op.group)
    channels = (-1, *(1,) * (w.type.rank - 1))
    operands = _real(steps, x, _ONE, zx.reshape(())), _real(steps, w, _ONE, zw.reshape(channels))
    return _whole(steps, steps.add(conv, *operands), node)


@decomposes(QLinearMatMul)
def qlinear_matmul(steps: Steps, node: Node) -> Value | None:
    """A product of real values, quantized."""
    a, sa, za, b, sb, zb, sy, zy = steps.operands
    arrays = [steps.array(value) for value in (sa, za, sb, zb, sy, zy)]
    known = [array for array in arrays if array is not None]
    if len(known) < len(arrays):
        return None
    left = _real(steps, a, rows(known[0]), rows(known[1]))
    right = _real(steps, b, columns(known[2]), columns(known[3]))
    y = steps.add(MatrixProduct(), left, right)
    return _codes(steps, y, known[4].reshape(()), known[5].reshape(()), zy.type.dtype)


@decomposes(QuantizeLinear)
def quantize_linear(steps: Steps, node: Node) -> Value | None:
    """To codes of 8 bits, with constant parameters of any form."""
    op, (x, *parameters) = node.op, steps.operands
    assert isinstance(op, QuantizeLinear)
    scale, zero = (_array(steps, parameters, index) for index in (0, 1))
    if scale is None or zero is None or op.output not in _BYTES or x.type.dtype is not DType.F32:
        return None
    scale, zero = (spread(array, x.type.shape, op.axis, op.block) for array in (scale, zero))
    return _codes(steps, x, scale, zero, op.output)


@decomposes(DequantizeLinear)
def dequantize_linear(steps: Steps, node: Node) -> Value | None:
    """From codes of 8 bits, with constant parameters of any form."""
    op, (x, *parameters) = node.op, steps.operands
    assert isinstance(op, DequantizeLinear)
    scale, zero = (_array(steps, parameters, index) for index in (0, 1))
    result = node.results[0].type
    if scale is None or zero is None or steps.array(x) is not None:
        return None
    if x.type.dtype not in _BYTES or result.dtype is not DType.F32:
        return None
    return _real(steps, x, *(spread(p, x.type.shape, op.axis, op.block) for p in (scale, zero)))


def _array(steps: Steps, parameters: list[Value], index: int) -> Array | None:
    """A constant parameter, or the zero of one that is not given; None for a computed one."""
    return steps.array(parameters[index]) if index < len(parameters) else np.zeros(1, np.int8)


def _real(steps: Steps, codes: Value, scale: Array, zero: Array) -> Value:
    """``(codes - zero) * scale``; raises `OpError` for codes that are typed otherwise."""
    array = steps.array(codes)
    if array is not None:
        return steps.constant((array.astype(np.float32) - zero) * scale.astype(np.float32), "real")
    quant = codes.type.quant
    if quant is not None:
        if scale.size * zero.size > 1 or (quant.scale, quant.zero_point) != (
            (scale.item(),),
            (zero.item(),),
        ):
            raise OpError("the codes have other parameters")
        return steps.add(Dequantize(), codes)
    x = steps.add(Cast(DType.F32), codes)
    if scale.size == zero.size == 1:
        factor = float(scale.reshape(()))
        return steps.affine(x, factor, -float(zero.reshape(())) * factor)
    centred = steps.minus(x, steps.like(x, zero, "zero")) if np.any(zero) else x
    return steps.times(centred, steps.like(x, scale, "scale"))


def _codes(steps: Steps, x: Value, scale: Array, zero: Array, dtype: DType) -> Value:
    """``clip(round(x / scale) + zero)``."""
    inverse = 1 / scale.astype(np.float32)
    if scale.size == zero.size == 1:
        rounded = steps.math(Function.ROUND, steps.affine(x, float(inverse.reshape(()))))
        moved = steps.affine(rounded, 1.0, float(zero.reshape(())))
    else:
        scaled = steps.times(x, steps.like(x, inverse, "inverse"))
        rounded = steps.math(Function.ROUND, scaled)
        moved = steps.plus(rounded, steps.like(x, zero, "zero")) if np.any(zero) else rounded
    limits = np.iinfo(str(dtype.numpy))
    return steps.add(Cast(dtype), steps.clip(moved, float(limits.min), float(limits.max)))


def _whole(steps: Steps, x: Value, node: Node) -> Value:
    """The nearest whole number, as an integer."""
    return steps.add(Cast(node.results[0].type.dtype), steps.math(Function.ROUND, x))
