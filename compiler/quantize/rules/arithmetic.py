"""Sums, differences, products and quotients of two tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import UnsupportedError
from ...ir import Graph, Node, Value
from ...ir.ops.binary import Add, Div, Mul, Sub
from ...ir.ops.quantized import QAdd, QMul, QUnary
from ...ir.ops.unary import Affine
from ..quantizer import Quantizer
from ..registry import Kind, quantizes


@quantizes(Add, Sub, kind=Kind.FUSING)
def quantize_sum(quantizer: Quantizer, node: Node) -> Value:
    """Add and Sub: the operand of full shape comes first, as onnxruntime orders them."""
    a, b = (quantizer.codes(operand) for operand in node.operands)
    if isinstance(node.op, Sub):
        b = _negated(quantizer, b)
    if a.type.shape != node.result.type.shape and b.type.shape == node.result.type.shape:
        a, b = b, a
    return quantizer.add(QAdd(quantizer.requant(node)), (a, b), node)


def _negated(quantizer: Quantizer, x: Value) -> Value:
    """The negative of a tensor, exactly: codes and zero point are mirrored."""
    assert x.type.quant is not None
    mirrored = replace(x.type.quant, zero_point=(x.type.quant.high - x.type.quant.zero_point[0],))
    if quantizer.builder.is_constant(x):
        codes = (x.type.quant.high - quantizer.builder.array(x)).astype(np.uint8)
        return quantizer.builder.constant(codes, x.name, mirrored)
    return quantizer.builder.add(QUnary(Affine(-1.0, 0.0), mirrored), [x], f"{x.name}.negative")


@quantizes(Mul, kind=Kind.FUSING)
def quantize_mul(quantizer: Quantizer, node: Node) -> Value:
    """A product of two tensors of codes."""
    a, b = (quantizer.codes(operand) for operand in node.operands)
    return quantizer.add(QMul(quantizer.requant(node)), (a, b), node)


def constant_divisor(graph: Graph, node: Node) -> str:
    """Divisors must be constant: codes are multiplied by their reciprocals."""
    if graph.constant(node.operands[1]) is None:
        return " divides by a computed value; the divisor must be constant"
    return ""


@quantizes(Div, kind=Kind.FUSING, refuses=constant_divisor)
def quantize_div(quantizer: Quantizer, node: Node) -> Value:
    """Division by a constant: a product with its reciprocals."""
    a, b = node.operands
    divisor = quantizer.constant(b)
    if not divisor.all():
        raise UnsupportedError(f"{node.label}: divides by a constant that holds zeros")
    reciprocals = quantizer.constant_codes(np.float32(1) / divisor, b.name)
    return quantizer.add(QMul(quantizer.requant(node)), (quantizer.codes(a), reciprocals), node)
