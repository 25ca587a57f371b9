"""How far a graph is quantized: not at all, in part, or wholly."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir import Graph, Node, Value
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize

_BYTE = 8


def holds_codes(graph: Graph) -> bool:
    """Whether anything in a graph is quantized."""
    return any(value.type.quant is not None for value in _values(graph))


def has_signed_codes(graph: Graph) -> bool:
    """Whether any activation has signed codes."""
    return any(v.type.quant is not None and v.type.quant.signed for v in _values(graph))


def has_narrow_codes(graph: Graph) -> bool:
    """Whether any activation has codes of less than 8 bits."""
    return any(v.type.quant is not None and v.type.quant.bits < _BYTE for v in _values(graph))


def _values(graph: Graph) -> Iterator[Value]:
    """Inputs and computed values."""
    yield from graph.inputs
    for node in graph.nodes:
        yield from node.results


def float_nodes(graph: Graph) -> tuple[Node, ...]:
    """The nodes of a graph that is quantized in part that are not on codes.

    Those are the nodes with a float result, but for the Dequantize of an output; and a Quantize
    of anything but an input that nothing else reads.
    """
    return tuple(node for node in graph.nodes if not _is_on_codes(graph, node))


def is_coded(node: Node) -> bool:
    """Whether a node of a graph that is quantized in part works on codes already.

    A Quantize and a Dequantize join the parts and belong to neither.
    """
    if isinstance(node.op, Quantize | Dequantize):
        return False
    return isinstance(node.op, Leave) or all(r.type.quant is not None for r in node.results)


def _is_on_codes(graph: Graph, node: Node) -> bool:
    if isinstance(node.op, Dequantize | Leave):
        return graph.is_output(node.result) and not graph.users(node.result)
    if isinstance(node.op, Quantize | Enter):
        (source,) = node.operands
        return source in graph.inputs and len(graph.users(source)) == 1
    return all(result.type.quant is not None for result in node.results)
