"""Which nodes of a float graph belong on the host.

1. Nodes that no quantization rule takes.
2. Nodes that compute with integers which the host made: they would not stay exact on codes.
3. Moves between nodes of the host, or between one and an input or output that nothing else reads:
   their values would become codes for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...ir import DType, Graph, Node, Value
from ...ir.ops.host import Host
from ...ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ...quantize.planning import unsupported
from ...quantize.registry import Kind, is_kind

_INTEGERS = "it works on integers that the host computes"
_BETWEEN = "it moves values of the host only"


def needed_on_host(graph: Graph) -> dict[str, str]:
    """The ONNX nodes that must go to the host and are not there yet, each with the reason."""
    reasons = {
        node.results[0].name: (node, f"{type(node.op).__name__}{reason}")
        for node, reason in unsupported(graph)
        if not _on_codes(node)
    }
    hosted = {node.results[0].name for node in graph.nodes if isinstance(node.op, Host)}
    hosted |= reasons.keys()
    for node in _with_integers(graph, hosted):
        reasons[node.results[0].name] = (node, _INTEGERS)
    for node in _moves_between(graph, hosted):
        reasons[node.results[0].name] = (node, _BETWEEN)
    return {name: reason for node, reason in reasons.values() for name in node.origin}


def _on_codes(node: Node) -> bool:
    """Whether a node is part of what a quantized model has on codes already."""
    if isinstance(node.op, Host | Quantize | Dequantize | Enter | Leave):
        return True
    return all(result.type.quant is not None for result in node.results)


def _with_integers(graph: Graph, hosted: set[str]) -> list[Node]:
    """Nodes behind integer results of the host; they are added to `hosted`."""
    found = []
    for node in graph.nodes:
        if node.results[0].name in hosted:
            continue
        sources = [graph.producer(operand) for operand in node.operands if _is_integer(operand)]
        if any(source is not None and source.results[0].name in hosted for source in sources):
            found.append(node)
            hosted.add(node.results[0].name)
    return found


def _is_integer(value: Value) -> bool:
    dtype = value.type.dtype
    return value.type.quant is None and not dtype.is_float and dtype is not DType.BOOL


def _moves_between(graph: Graph, hosted: set[str]) -> list[Node]:
    moves = [node for node in graph.nodes if is_kind(node.op, Kind.MOVING)]
    moves = [node for node in moves if node.results[0].name not in hosted]
    behind = _settled(graph, moves, hosted, outputs=True)
    before = _settled(graph, moves, hosted | {value.name for value in graph.inputs}, outputs=False)
    return [node for node in moves if node.results[0].name in behind | before]


def _settled(graph: Graph, moves: Iterable[Node], sources: set[str], outputs: bool) -> set[str]:
    """The moves that start from `sources` only and end there, or with `outputs` at outputs."""
    chosen = {node.results[0].name: node for node in moves}
    while True:
        kept = {
            name: node
            for name, node in chosen.items()
            if _starts(graph, node, sources | chosen.keys())
            and _ends(graph, node, sources | chosen.keys(), outputs)
        }
        if len(kept) == len(chosen):
            return set(kept)
        chosen = kept


def _starts(graph: Graph, node: Node, sources: set[str]) -> bool:
    made = [_maker(graph, v) for v in node.operands if graph.constant(v) is None]
    return bool(made) and all(name in sources for name in made)


def _maker(graph: Graph, value: Value) -> str:
    producer = graph.producer(value)
    return value.name if producer is None else producer.results[0].name


def _ends(graph: Graph, node: Node, sinks: set[str], outputs: bool) -> bool:
    users = graph.users(node.results[0])
    leaves = graph.is_output(node.results[0])
    if (leaves and not outputs) or not (leaves or users):
        return False
    return all(user.results[0].name in sinks for user in users)
