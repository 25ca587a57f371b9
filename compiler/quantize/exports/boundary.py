"""Where codes begin and end."""

from __future__ import annotations

from ...ir import Node
from ...ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..onnx_writer import OnnxWriter
from .registry import exports


@exports(Quantize)
def export_quantize(writer: OnnxWriter, node: Node) -> str:
    """QuantizeLinear, and a Clip where fewer codes are used."""
    assert isinstance(node.op, Quantize)
    params = node.op.output
    real = writer.tensor(node.operands[0])
    return writer.codes(real, params, node.result.name, params.low, params.high)


@exports(Enter, Leave)
def export_border(writer: OnnxWriter, node: Node) -> str:
    """Codes of inputs and outputs are what they are."""
    return writer.tensor(node.operands[0])


@exports(Dequantize)
def export_dequantize(writer: OnnxWriter, node: Node) -> str:
    """DequantizeLinear."""
    return writer.real(node.operands[0])
