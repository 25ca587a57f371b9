"""Sums, differences, products and quotients of two tensors."""

from __future__ import annotations

import numpy as np

from ...errors import UnsupportedError
from ...ir import Graph, Node, Value
from ...ir.ops.binary import Add, Div, Modulo, Mul, Power, Sub
from ...ir.ops.constant_operand import WithConstant
from ...ir.ops.quantized import QAdd, QMul, QUnary
from ...ir.ops.quantized_divide import QDiv
from ..mirror import mirrored
from ..quantizer import Quantizer
from ..registry import Kind, quantizes
from .operands import broadcast_codes, scalar_operand


@quantizes(Add, Sub, kind=Kind.FUSING)
def quantize_sum(quantizer: Quantizer, node: Node) -> Value:
    """Add and Sub: the operand of full shape comes first, as onnxruntime orders them."""
    a, b = (broadcast_codes(quantizer, node, index) for index in (0, 1))
    if isinstance(node.op, Sub):
        b = mirrored(quantizer.builder, b)
    if a.type.shape != node.result.type.shape and b.type.shape == node.result.type.shape:
        a, b = b, a
    return quantizer.add(QAdd(quantizer.requant(node)), (a, b), node)


@quantizes(Mul, kind=Kind.FUSING)
def quantize_mul(quantizer: Quantizer, node: Node) -> Value:
    """A product of two tensors of codes."""
    a, b = (broadcast_codes(quantizer, node, index) for index in (0, 1))
    return quantizer.add(QMul(quantizer.requant(node)), (a, b), node)


def real_quotient(graph: Graph, node: Node) -> str:
    """Quotients of two computed values must be real: cut to integers, codes would often miss."""
    if graph.constant(node.operands[1]) is None and not node.result.type.dtype.is_float:
        return " divides integers by a computed value; the divisor must be constant"
    return ""


@quantizes(Div, kind=Kind.FUSING, refuses=real_quotient)
def quantize_div(quantizer: Quantizer, node: Node) -> Value:
    """Division by a constant: a product with its reciprocals."""
    a, b = node.operands
    if quantizer.graph.constant(b) is None:
        codes = (broadcast_codes(quantizer, node, 0), quantizer.codes(b))
        return quantizer.add(QDiv(quantizer.requant(node)), codes, node)
    divisor = quantizer.constant(b)
    if not divisor.all():
        raise UnsupportedError(f"{node.label}: divides by a constant that holds zeros")
    deep = np.asarray(divisor).reshape((1,) * (a.type.rank - divisor.ndim) + divisor.shape)
    reciprocals = quantizer.constant_codes(np.float32(1) / deep, b.name)
    return quantizer.add(QMul(quantizer.requant(node)), (quantizer.codes(a), reciprocals), node)


def number_beside(graph: Graph, node: Node) -> str:
    """One of the operands must be a constant number: the function is a table."""
    numbers = [scalar_operand(graph, node, index) for index in (0, 1)]
    return "" if any(n is not None for n in numbers) else " has no operand that is one number"


@quantizes(Modulo, Power, refuses=number_beside)
def quantize_with_number(quantizer: Quantizer, node: Node) -> Value:
    """A table of the function with a number."""
    first = scalar_operand(quantizer.graph, node, 0)
    number = first if first is not None else scalar_operand(quantizer.graph, node, 1)
    assert number is not None
    table = QUnary(WithConstant(node.op, number, first is not None), quantizer.params(node.result))
    other = node.operands[0 if first is None else 1]
    return quantizer.add(table, (quantizer.codes(other),), node)
