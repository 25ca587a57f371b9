"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Node
from ...ir.ops.quantized_reduce import QReduceMax, QReduceSum
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QReduceMax)
def export_reduce_max(writer: OnnxWriter, node: Node) -> str:
    """ReduceMax of codes."""
    op = node.op
    assert isinstance(op, QReduceMax)
    x = writer.tensor(node.operands[0])
    return writer.add("ReduceMax", [x], node.result.name, axes=op.axes, keepdims=int(op.keep))


@exports(QReduceSum)
def export_reduce_sum(writer: OnnxWriter, node: Node) -> str:
    """ReduceSum or ReduceMean of real values."""
    op, x = node.op, writer.real(node.operands[0])
    assert isinstance(op, QReduceSum)
    keep = int(op.keep)
    if op.mean:
        real = writer.add("ReduceMean", [x], node_name(node), axes=op.axes, keepdims=keep)
    else:
        axes = _axes(writer, node, op.axes)
        real = writer.add("ReduceSum", [x, axes], node_name(node), keepdims=keep)
    return finish(writer, node, real)


def _axes(writer: OnnxWriter, node: Node, axes: Sequence[int]) -> str:
    """ReduceSum has its axes as an operand, the others of this operator set as an attribute."""
    return writer.initializer(f"{node_name(node)}/axes", np.array(axes, np.int64))
