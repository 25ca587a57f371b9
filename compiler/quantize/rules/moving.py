"""Operators that move codes and compute nothing."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.ops.pooling import MaxPool
from ...ir.ops.quantized import QConcat
from ...ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from ...ir.ops.unary import Identity
from ..quantizer import Quantizer
from ..registry import Kind, quantizes


@quantizes(MaxPool, Reshape, Transpose, Slice, Pad, Identity, kind=Kind.MOVING)
def quantize_moving(quantizer: Quantizer, node: Node) -> Value:
    """The operator itself, on codes."""
    x = quantizer.codes(node.operands[0])
    return x if isinstance(node.op, Identity) else quantizer.add(node.op, (x,), node)


@quantizes(Concat)
def quantize_concat(quantizer: Quantizer, node: Node) -> Value:
    """Operands whose parameters are not those of the result pass through a table."""
    assert isinstance(node.op, Concat)
    output = quantizer.params(node.result)
    operands = [quantizer.codes(operand, output) for operand in node.operands]
    return quantizer.add(QConcat(node.op.axis, output), operands, node)
