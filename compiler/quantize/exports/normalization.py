"""Softmax and other normalizations."""

from __future__ import annotations

from ...ir import Node
from ...ir.ops.quantized import QSoftmax
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QSoftmax)
def export_softmax(writer: OnnxWriter, node: Node) -> str:
    """Softmax."""
    assert isinstance(node.op, QSoftmax)
    x = writer.real(node.operands[0])
    return finish(writer, node, writer.add("Softmax", [x], node_name(node), axis=node.op.axis))
