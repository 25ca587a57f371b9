"""Averages over windows and over whole maps."""

from __future__ import annotations

from ...ir import Graph, Node, Value
from ...ir.ops.pooling import AveragePool, GlobalAveragePool
from ...ir.ops.quantized import QAveragePool, QGlobalAveragePool
from ..quantizer import Quantizer
from ..registry import Kind, quantizes


def dense_window(graph: Graph, node: Node) -> str:
    """The window must not have gaps."""
    gaps = isinstance(node.op, AveragePool) and set(node.op.dilations or ()) - {1}
    return " has a window with gaps" if gaps else ""


@quantizes(AveragePool, GlobalAveragePool, kind=Kind.FUSING, refuses=dense_window)
def quantize_average(quantizer: Quantizer, node: Node) -> Value:
    """Exact sums, then the output stage."""
    op, requant = node.op, quantizer.requant(node)
    x = quantizer.codes(node.operands[0])
    if isinstance(op, GlobalAveragePool):
        return quantizer.add(QGlobalAveragePool(requant), (x,), node)
    assert isinstance(op, AveragePool)
    pooled = QAveragePool(op.kernel, op.strides, op.pads, op.ceil, op.count_include_pad, requant)
    return quantizer.add(pooled, (x,), node)
