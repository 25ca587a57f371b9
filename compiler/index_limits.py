"""How many indices there are for inputs that choose rows: what random data for them may hold."""

from __future__ import annotations

from .ir import Graph, Node, Value
from .ir.ops.embedding import Embedding
from .ir.ops.indexing import Gather, GatherElements


def index_limits(graph: Graph) -> dict[str, int]:
    """For each integer input that is an index somewhere, the smallest extent that it counts."""
    found: dict[str, int] = {}
    for value in graph.inputs:
        if _is_integer(value):
            extents = _extents(graph, value)
            if extents:
                found[value.name] = min(extents)
    return found


def _extents(graph: Graph, source: Value) -> list[int]:
    """The extents along which an integer, or what is only moved of it, chooses."""
    pending, found = [source], list[int]()
    while pending:
        value = pending.pop()
        for node in graph.users(value):
            extent = _chosen_from(node, value)
            if extent is not None:
                found.append(extent)
            elif len(node.operands) == 1:
                pending += filter(_is_integer, node.results)
    return found


def _chosen_from(node: Node, index: Value) -> int | None:
    if len(node.operands) < 2 or node.operands[1] != index:
        return None
    if isinstance(node.op, Embedding):
        return node.operands[0].type.shape[0]
    if isinstance(node.op, Gather | GatherElements):
        return node.operands[0].type.shape[node.op.axis]
    return None


def _is_integer(value: Value) -> bool:
    return value.type.dtype.numpy.kind in "iu" and value.type.quant is None
