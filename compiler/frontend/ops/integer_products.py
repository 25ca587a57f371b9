"""Integer products, and quantization whose parameters are operands."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.ops.integer_products import (
    ConvInteger,
    DequantizeLinear,
    DynamicQuantizeLinear,
    MatMulInteger,
    QLinearConv,
    QLinearMatMul,
    QuantizeLinear,
)
from ...ir.types import DType
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from ..tensors import numpy_type, type_name
from .rules import emit_results
from .windows import explicit_pads, spatial_rank, window_ints


@converts("ConvInteger", form=Form.WHOLE, constraints=(spatial_rank,))
def conv_integer(conversion: Conversion) -> Value:
    """Convolution of codes to int32."""
    operands = _with_zero_points(conversion)
    return conversion.emit(ConvInteger(*_geometry(conversion, 1)), *operands)


@converts("MatMulInteger", form=Form.WHOLE)
def matmul_integer(conversion: Conversion) -> Value:
    """Matrix product of codes to int32."""
    return conversion.emit(MatMulInteger(), *_with_zero_points(conversion))


@converts("QLinearConv", form=Form.WHOLE, constraints=(spatial_rank,))
def qlinear_conv(conversion: Conversion) -> Value:
    """Convolution of codes to codes."""
    operands = [conversion.value(index) for index in range(9) if conversion.has(index)]
    return conversion.emit(QLinearConv(*_geometry(conversion, 3)), *operands)


@converts("QLinearMatMul", form=Form.WHOLE)
def qlinear_matmul(conversion: Conversion) -> Value:
    """Matrix product of codes to codes."""
    return conversion.emit(QLinearMatMul(), *(conversion.value(index) for index in range(8)))


@converts("DynamicQuantizeLinear", form=Form.WHOLE)
def dynamic_quantize_linear(conversion: Conversion) -> tuple[Value, ...]:
    """Codes with the scale and zero point that fit them."""
    return emit_results(conversion, DynamicQuantizeLinear(), [conversion.value(0)], 3)


@converts("QuantizeLinear", form=Form.WHOLE)
def quantize_linear(conversion: Conversion) -> Value:
    """Codes; parameters may be computed, one number, for an axis or for blocks."""
    conversion.ignore("saturate")
    x = conversion.value(0)
    given = conversion.integer("output_dtype", 0)
    output = conversion.type(2).dtype if conversion.has(2) else DType.U8
    if given and not conversion.has(2):
        output = _codes(conversion, given)
    if conversion.integer("precision", 0) not in (0, 1):
        raise conversion.reject("in another precision", "the division is in float32")
    axis, block = _axis(conversion, x), conversion.integer("block_size", 0)
    operands = [conversion.value(index) for index in range(3) if conversion.has(index)]
    return conversion.emit(QuantizeLinear(output, axis, block), *operands)


@converts("DequantizeLinear", form=Form.WHOLE)
def dequantize_linear(conversion: Conversion) -> Value:
    """Real values; parameters may be computed, one number, for an axis or for blocks."""
    x, scale = conversion.value(0), conversion.value(1)
    given = conversion.integer("output_dtype", 0)
    if given and numpy_type(given) != scale.type.dtype.numpy:
        raise conversion.reject(f"to {type_name(given)}", "results have the type of the scale")
    op = DequantizeLinear(_axis(conversion, x), conversion.integer("block_size", 0))
    operands = [x, scale, *([conversion.value(2)] if conversion.has(2) else [])]
    return conversion.emit(op, *operands)


def _with_zero_points(conversion: Conversion) -> list[Value]:
    """Both operands and their zero points; the first is 0 where only the second is given."""
    operands = [conversion.value(0), conversion.value(1)]
    if conversion.has(2):
        operands.append(conversion.value(2))
    elif conversion.has(3):
        zero = np.zeros((), operands[0].type.dtype.numpy)
        operands.append(conversion.constant(zero, f"{conversion.node.label}/zero"))
    if conversion.has(3):
        operands.append(conversion.value(3))
    return operands


def _geometry(
    conversion: Conversion, weights: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
    """Strides, pads, dilations and groups of a convolution with this operand as weights."""
    x, w = conversion.type(0), conversion.type(weights)
    kernel = w.shape[2:]
    if conversion.ints("kernel_shape") not in (None, kernel) or w.rank != x.rank:
        text = f"{conversion.node.op_type} has weights of shape {list(w.shape)}"
        raise Rejection("IMC0209", text)
    strides = window_ints(conversion, "strides", len(kernel))
    dilations = window_ints(conversion, "dilations", len(kernel))
    pads = explicit_pads(conversion, x, kernel, strides, dilations)
    return strides, pads, dilations, conversion.integer("group", 1)


def _axis(conversion: Conversion, x: Value) -> int:
    """The axis of the parameters, which has no meaning where they are single numbers."""
    axis = conversion.integer("axis", 1)
    return axis + x.type.rank if axis < 0 else axis


def _codes(conversion: Conversion, element: int) -> DType:
    dtype = numpy_type(element)
    if dtype is None or dtype.kind not in "iu" or dtype.itemsize > 2:
        raise conversion.reject(f"to {type_name(element)}", "codes have 8 or 16 bits", "IMC0405")
    return DType.of(dtype)
