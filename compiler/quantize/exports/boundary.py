"""Where codes begin and end."""

from __future__ import annotations

from onnx import TensorProto, helper

from ...ir import DType, Node
from ...ir.ops.quant import Dequantize, DequantizeWhole, Enter, Leave, Quantize
from ..onnx_writer import OnnxWriter
from .registry import exports


@exports(Quantize)
def export_quantize(writer: OnnxWriter, node: Node) -> str:
    """QuantizeLinear, and a Clip where fewer codes are used; integers become floats before."""
    assert isinstance(node.op, Quantize)
    params, x = node.op.output, node.operands[0]
    real = writer.tensor(x)
    if x.type.dtype is not DType.F32:
        real = writer.add("Cast", [real], f"{node.result.name}/float", to=TensorProto.FLOAT)
    return writer.codes(real, params, node.result.name, params.low, params.high)


@exports(Enter, Leave)
def export_border(writer: OnnxWriter, node: Node) -> str:
    """Codes and indices are what they are; truth values are bytes inside."""
    x, enters = writer.tensor(node.operands[0]), isinstance(node.op, Enter)
    outside = node.operands[0] if enters else node.result
    if outside.type.dtype is not DType.BOOL:
        return x
    to = TensorProto.UINT8 if enters else TensorProto.BOOL
    return writer.add("Cast", [x], node.result.name, to=to)


@exports(Dequantize)
def export_dequantize(writer: OnnxWriter, node: Node) -> str:
    """DequantizeLinear."""
    return writer.real(node.operands[0])


@exports(DequantizeWhole)
def export_dequantize_whole(writer: OnnxWriter, node: Node) -> str:
    """DequantizeLinear, Round and Cast."""
    assert isinstance(node.op, DequantizeWhole)
    name = node.result.name
    rounded = writer.add("Round", [writer.real(node.operands[0])], f"{name}/round")
    to = helper.np_dtype_to_tensor_dtype(node.op.to.numpy)
    return writer.add("Cast", [rounded], name, to=to)
