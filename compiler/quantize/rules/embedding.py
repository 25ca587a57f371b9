"""Rows of constant tables by computed indices."""

from __future__ import annotations

from imcc.isa.instructions import STREAM_AXES

from ...ir import Graph, Node, Value
from ...ir.ops.embedding import Embedding, QEmbedding
from ..indices import is_index
from ..quantizer import Quantizer
from ..registry import quantizes


def indices_of_inputs(graph: Graph, node: Node) -> str:
    """The table is constant, and the indices are integer inputs that are at most moved."""
    table, indices = node.operands
    if graph.constant(table) is None:
        return " has a computed table; it must be constant"
    if not is_index(graph, indices):
        return " has indices that are computed; they must be an integer input, at most moved"
    if node.result.type.rank > STREAM_AXES + 1:
        return (
            f" has a result of {node.result.type.rank} axes; at most {STREAM_AXES + 1} are walked"
        )
    return ""


@quantizes(Embedding, refuses=indices_of_inputs)
def quantize_embedding(quantizer: Quantizer, node: Node) -> Value:
    """The table as codes; indices stay what they are."""
    table, indices = node.operands
    codes = quantizer.codes(table, quantizer.params(node.result))
    return quantizer.add(QEmbedding(), (codes, quantizer.codes(indices)), node)
