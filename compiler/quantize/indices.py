"""Which values of a float graph are indices: integers that choose rows and are never computed with.

They come from integer inputs, may be moved and cast to other integers, and end at embeddings. On
the machine they are int32, without quantization.
"""

from __future__ import annotations

from ..ir import Graph, Node, Value
from ..ir.ops.cast import Cast
from ..ir.ops.embedding import Embedding
from ..ir.ops.shape import Pad
from ..ir.ops.unary import Identity
from .registry import Kind, is_kind


def is_index(graph: Graph, value: Value) -> bool:
    """Whether a value is an integer input, moved at most, of which only embeddings make use."""
    while _is_whole(value):
        producer = graph.producer(value)
        if producer is None:
            return value in graph.inputs and _only_chooses(graph, value)
        if not _hands_on(producer):
            return False
        value = producer.operands[0]
    return False


def _only_chooses(graph: Graph, value: Value) -> bool:
    """Whether all that reads a value is an embedding, or a move of which the same is true."""
    pending = [value]
    while pending:
        current = pending.pop()
        if graph.is_output(current):
            return False
        for user in graph.users(current):
            if isinstance(user.op, Embedding) and user.operands[1] == current:
                continue
            if not _hands_on(user) or user.operands[0] != current:
                return False
            pending.append(user.result)
    return True


def _hands_on(node: Node) -> bool:
    """Whether a node moves integers, or changes their width."""
    if isinstance(node.op, Pad):
        return False
    moves = is_kind(node.op, Kind.MOVING) or isinstance(node.op, Cast | Identity)
    return moves and _is_whole(node.operands[0]) and _is_whole(node.results[0])


def _is_whole(value: Value) -> bool:
    return value.type.dtype.numpy.kind in "iu" and value.type.quant is None
