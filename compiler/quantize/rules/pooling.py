"""Averages over windows and over whole maps."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.ops.pooling import AveragePool, GlobalAveragePool
from ...ir.ops.quantized import QAveragePool, QGlobalAveragePool
from ...ir.requant import Requant
from ..quantizer import Quantizer
from ..registry import Kind, quantizes


@quantizes(AveragePool, GlobalAveragePool, kind=Kind.FUSING)
def quantize_average(quantizer: Quantizer, node: Node) -> Value:
    """Exact sums, then the output stage."""
    op, requant = node.op, quantizer.requant(node)
    x = quantizer.codes(node.operands[0])
    if isinstance(op, GlobalAveragePool):
        return quantizer.add(QGlobalAveragePool(requant), (x,), node)
    assert isinstance(op, AveragePool)
    return quantizer.add(pooled(op, requant), (x,), node)


def pooled(op: AveragePool, requant: Requant) -> QAveragePool:
    """The pooling on codes."""
    shape = op.kernel, op.strides, op.pads, op.ceil, op.count_include_pad
    return QAveragePool(*shape, requant, op.dilations)
