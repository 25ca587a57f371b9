"""Softmax and other normalizations."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.ops.normalization import Softmax
from ...ir.ops.quantized import QSoftmax
from ..quantizer import Quantizer
from ..registry import quantizes


@quantizes(Softmax)
def quantize_softmax(quantizer: Quantizer, node: Node) -> Value:
    """Softmax in integers, along any axis."""
    assert isinstance(node.op, Softmax)
    op = QSoftmax(node.op.axis, quantizer.params(node.result))
    return quantizer.add(op, (quantizer.codes(node.operands[0]),), node)
