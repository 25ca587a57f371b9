"""Extremes of two tensors and choice between them, on codes."""

from __future__ import annotations

from onnx import TensorProto

from ...ir import Node
from ...ir.ops.quantized_select import QMaximum, QMinimum, QSelect
from ..onnx_writer import OnnxWriter
from .registry import exports, node_name


@exports(QMaximum, QMinimum)
def export_extreme(writer: OnnxWriter, node: Node) -> str:
    """Max or Min in int32, for onnxruntime has neither for bytes."""
    name = node_name(node)
    wide = [
        writer.add("Cast", [writer.tensor(operand)], f"{name}/wide", to=TensorProto.INT32)
        for operand in node.operands
    ]
    found = writer.add("Max" if isinstance(node.op, QMaximum) else "Min", wide, name)
    return writer.add("Cast", [found], node.result.name, to=TensorProto.UINT8)


@exports(QSelect)
def export_select(writer: OnnxWriter, node: Node) -> str:
    """Where of codes."""
    mask, *codes = (writer.tensor(operand) for operand in node.operands)
    chosen = writer.add("Cast", [mask], f"{node_name(node)}/mask", to=TensorProto.BOOL)
    return writer.add("Where", [chosen, *codes], node.result.name)
