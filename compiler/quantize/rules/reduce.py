"""Reductions over axes."""

from __future__ import annotations

from ...ir import Graph, Node, Op, Value
from ...ir.ops.quantized_reduce import QReduceSum
from ...ir.ops.reduce import Reduce, Reduction
from ..moves import move
from ..quantizer import Quantizer
from ..registry import Kind, quantizes

_EXTREMES = (Reduction.MAX, Reduction.MIN)
_SUMS = (Reduction.SUM, Reduction.MEAN)


def _kind(op: Op) -> Kind:
    """Extremes are codes of the operand; sums have an output stage."""
    assert isinstance(op, Reduce)
    return Kind.MOVING if op.reduction in _EXTREMES else Kind.FUSING


def linear_reduction(graph: Graph, node: Node) -> str:
    """Sums, means and extremes are reduced on codes; the others are made of them by decompose."""
    assert isinstance(node.op, Reduce)
    if node.op.reduction in (*_EXTREMES, *_SUMS):
        return ""
    return f" of kind {node.op.reduction} has no integer form"


@quantizes(Reduce, kind=_kind, refuses=linear_reduction)
def quantize_reduce(quantizer: Quantizer, node: Node) -> Value:
    """Extremes are codes of the operand; sums are exact, then scaled."""
    op, x = node.op, quantizer.codes(node.operands[0])
    assert isinstance(op, Reduce)
    if op.reduction in _EXTREMES:
        return move(quantizer.builder, quantizer.graph, node, x, node.result.name)
    mean = op.reduction is Reduction.MEAN
    return quantizer.add(QReduceSum(op.axes, op.keep, mean, quantizer.requant(node)), (x,), node)
