"""Comparisons, logic on truth values, and conversions between kinds of numbers."""

from __future__ import annotations

from dataclasses import replace

from ...ir import DType, Graph, Node, Op, QuantParams, Value
from ...ir.ops.cast import Cast
from ...ir.ops.codes import TRUTH
from ...ir.ops.compare import Compare, IsInfinite, IsNaN
from ...ir.ops.constant_operand import WithConstant
from ...ir.ops.logic import Connective, Invert, Join
from ...ir.ops.math import Function, Math
from ...ir.ops.quantized import QAdd, QMul, QUnary
from ...ir.ops.unary import Affine
from ..mirror import mirrored
from ..parameters import activation_params
from ..quantizer import Quantizer
from ..registry import Kind, quantizes
from .operands import broadcast_codes, scalar_operand

_MIDDLE = 128


@quantizes(Compare)
def quantize_compare(quantizer: Quantizer, node: Node) -> Value:
    """With a number by a table; of two tensors by the sign of their difference.

    Two tensors are first brought to common parameters. Their codes are then compared exactly:
    values less than a step apart may count as equal.
    """
    for index in (0, 1):
        number = scalar_operand(quantizer.graph, node, index)
        if number is not None:
            table = QUnary(WithConstant(node.op, number, first=index == 0), TRUTH)
            return quantizer.add(table, (quantizer.codes(node.operands[1 - index]),), node)
    sign = _difference(quantizer, node, _common_params(quantizer, node))
    return quantizer.add(QUnary(WithConstant(node.op, 0.0), TRUTH), (sign,), node)


def _common_params(quantizer: Quantizer, node: Node) -> QuantParams:
    """Parameters whose codes reach over both operands: those of one of them, if they do."""
    arrays = [quantizer.graph.constant(value) for value in node.operands]
    computed = [v for v, array in zip(node.operands, arrays, strict=True) if array is None]
    quants = [quant for value in computed if (quant := quantizer.codes(value).type.quant)]
    ranges = [_reach(quant) for quant in quants]
    ranges += [(float(array.min()), float(array.max())) for array in arrays if array is not None]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    for quant in quants:
        if _reach(quant)[0] <= low and high <= _reach(quant)[1]:
            return quant
    return activation_params(min(low, 0.0), max(high, 0.0), quantizer.options.activation_bits)


def _reach(params: QuantParams) -> tuple[float, float]:
    """The least and the greatest real value."""
    zero, scale = params.zero_point[0], params.scale[0]
    return (params.low - zero) * scale, (params.high - zero) * scale


def _difference(quantizer: Quantizer, node: Node, params: QuantParams) -> Value:
    """The difference a - b in steps, as far as 8 bits reach: its sign is exact."""
    a, b = (broadcast_codes(quantizer, node, index, params) for index in (0, 1))
    output = QuantParams(params.scale, (_MIDDLE,))
    stage = replace(quantizer.requant(node), output=output, low=output.low, high=output.high)
    operands = (a, mirrored(quantizer.builder, b))
    return quantizer.builder.add(QAdd(stage), operands, f"{node.result.name}/difference")


def truth_values(graph: Graph, node: Node) -> str:
    """Operands must be truth values, not the bits of integers."""
    bits = node.operands[0].type.dtype is not DType.BOOL
    return " works on the bits of integers, which codes do not have" if bits else ""


@quantizes(Join, refuses=truth_values)
def quantize_join(quantizer: Quantizer, node: Node) -> Value:
    """And is the product of 0 and 1, or their sum up to 1, xor whether they differ."""
    assert isinstance(node.op, Join)
    if node.op.connective is Connective.XOR:
        difference = _difference(quantizer, node, TRUTH)
        return quantizer.add(QUnary(Math(Function.ABS), TRUTH), (difference,), node)
    operands = [broadcast_codes(quantizer, node, index, TRUTH) for index in (0, 1)]
    stage = quantizer.requant(node)
    op = QMul(stage) if node.op.connective is Connective.AND else QAdd(stage)
    return quantizer.add(op, operands, node)


@quantizes(Invert, refuses=truth_values)
def quantize_invert(quantizer: Quantizer, node: Node) -> Value:
    """``1 - x``."""
    table = QUnary(Affine(-1.0, 1.0), TRUTH)
    return quantizer.add(table, (quantizer.codes(node.operands[0]),), node)


@quantizes(IsNaN, IsInfinite)
def quantize_test(quantizer: Quantizer, node: Node) -> Value:
    """Codes are always finite: a table of zeros."""
    return quantizer.add(QUnary(node.op, TRUTH), (quantizer.codes(node.operands[0]),), node)


def _cast_kind(op: Op) -> Kind:
    """Codes are real values already; other types have parameters of their own."""
    assert isinstance(op, Cast)
    return Kind.MOVING if op.to.is_float else Kind.COMPUTED


@quantizes(Cast, kind=_cast_kind)
def quantize_cast(quantizer: Quantizer, node: Node) -> Value:
    """Truth values and integers are real values too; reals are cut towards zero."""
    assert isinstance(node.op, Cast)
    x = node.operands[0]
    if node.op.to.is_float:
        return quantizer.codes(x)
    if node.op.to is not DType.BOOL and not x.type.dtype.is_float:
        return quantizer.codes_as(x, quantizer.params(node.result))
    table = QUnary(node.op, quantizer.params(node.result))
    return quantizer.add(table, (quantizer.codes(x),), node)
