"""Where a model that is quantized in part changes between codes and real values."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.ops.quant import Dequantize, Quantize
from ..quantizer import Quantizer
from ..registry import quantizes


@quantizes(Dequantize)
def quantize_dequantize(quantizer: Quantizer, node: Node) -> Value:
    """The codes that are there."""
    return quantizer.codes(node.operands[0])


@quantizes(Quantize)
def quantize_quantize(quantizer: Quantizer, node: Node) -> Value:
    """The codes that are there, or a table where the model wants other parameters."""
    assert isinstance(node.op, Quantize)
    return quantizer.codes_as(node.operands[0], node.op.output)
