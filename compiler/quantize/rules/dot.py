"""Products of two computed matrices."""

from __future__ import annotations

from imcc.isa.instructions import STREAM_AXES

from ...ir import Graph, Node, Value
from ...ir.ops.linear import MatrixProduct
from ...ir.ops.quantized_dot import LONGEST_SUM, QDot
from ..quantizer import Quantizer
from ..registry import Kind, quantizes


def stacks_of_matrices(graph: Graph, node: Node) -> str:
    """Both operands have one rank of 3 to 6, axis 0 is the batch, and sums fit 32 bits."""
    a, b = (operand.type.shape for operand in node.operands)
    if len(a) != len(b) or not 3 <= len(a) <= STREAM_AXES or node.result.type.shape[0] != 1:
        return f" multiplies {list(a)} by {list(b)}; both need a batch axis and one rank of 3 to 6"
    if a[-1] > LONGEST_SUM:
        return f" has sums of {a[-1]} products; at most {LONGEST_SUM} fit an accumulator"
    return ""


@quantizes(MatrixProduct, kind=Kind.FUSING, refuses=stacks_of_matrices)
def quantize_dot(quantizer: Quantizer, node: Node) -> Value:
    """Exact sums of products of codes, then the output stage."""
    assert isinstance(node.op, MatrixProduct)
    a, b = (quantizer.codes(operand) for operand in node.operands)
    return quantizer.add(QDot(quantizer.requant(node), node.op.factor), (a, b), node)
