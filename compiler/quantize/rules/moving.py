"""Operators that move codes and compute nothing."""

from __future__ import annotations

from ...ir import Graph, Node, Value
from ...ir.ops.dilate import Dilate
from ...ir.ops.indexing import Gather
from ...ir.ops.pooling import MaxPool
from ...ir.ops.quantized import QConcat
from ...ir.ops.shape import (
    Concat,
    Expand,
    Pad,
    PadCopies,
    Reshape,
    Slice,
    Tile,
    Transpose,
)
from ...ir.ops.unary import Identity
from ..moves import move
from ..quantizer import Quantizer
from ..registry import Kind, quantizes

_MOVING = (
    *(Reshape, Transpose, Slice, Pad, PadCopies, Expand, Tile, Gather, Dilate),
    *(MaxPool, Identity),
)


def constant_indices(graph: Graph, node: Node) -> str:
    """Indices must be constant: they become strides of copies."""
    computed = isinstance(node.op, Gather) and graph.constant(node.operands[1]) is None
    return " has computed indices; they must be constant" if computed else ""


@quantizes(*_MOVING, kind=Kind.MOVING, refuses=constant_indices)
def quantize_moving(quantizer: Quantizer, node: Node) -> Value:
    """The same codes at other places."""
    codes = quantizer.codes(node.operands[0])
    return move(quantizer.builder, quantizer.graph, node, codes, node.result.name)


@quantizes(Concat, kind=Kind.JOINING)
def quantize_concat(quantizer: Quantizer, node: Node) -> Value:
    """Operands whose parameters are not those of the result pass through a table."""
    assert isinstance(node.op, Concat)
    output = quantizer.params(node.result)
    operands = [quantizer.codes(operand, output) for operand in node.operands]
    return quantizer.add(QConcat(node.op.axis, output), operands, node)
