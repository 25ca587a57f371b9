"""Extremes of two tensors, and choice between them."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.ops.binary import Maximum, Minimum
from ...ir.ops.codes import TRUTH
from ...ir.ops.logic import Where
from ...ir.ops.quantized_select import QMaximum, QMinimum, QSelect
from ..quantizer import Quantizer
from ..registry import Kind, quantizes
from .operands import broadcast_codes


@quantizes(Maximum, Minimum, kind=Kind.JOINING)
def quantize_extreme(quantizer: Quantizer, node: Node) -> Value:
    """Codes of the parameters of the result are compared."""
    output = quantizer.params(node.result)
    operands = [broadcast_codes(quantizer, node, index, output) for index in (0, 1)]
    op = QMaximum() if isinstance(node.op, Maximum) else QMinimum()
    return quantizer.add(op, operands, node)


@quantizes(Where, kind=Kind.JOINING)
def quantize_where(quantizer: Quantizer, node: Node) -> Value:
    """Codes of the parameters of the result are chosen."""
    output = quantizer.params(node.result)
    mask = broadcast_codes(quantizer, node, 0, TRUTH)
    a, b = (broadcast_codes(quantizer, node, index, output) for index in (1, 2))
    return quantizer.add(QSelect(), (mask, a, b), node)
