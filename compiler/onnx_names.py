"""Names of tensors in ONNX nodes, also where graphs inside a node read them."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import GraphProto, NodeProto


def inner_graphs(node: NodeProto) -> list[GraphProto]:
    """The graphs that are attributes of a node."""
    return [g for a in node.attribute for g in (*((a.g,) if a.HasField("g") else ()), *a.graphs)]


def captured_names(node: NodeProto) -> list[str]:
    """Names that graphs inside a node read from outside, in order."""
    found: dict[str, None] = {}
    for graph in inner_graphs(node):
        own = {entry.name for entry in (*graph.input, *graph.initializer)}
        for inner in graph.node:
            names = (*inner.input, *captured_names(inner))
            found.update(dict.fromkeys(name for name in names if name and name not in own))
            own.update(inner.output)
        found.update(dict.fromkeys(o.name for o in graph.output if o.name not in own))
    return list(found)


def renamed(node: NodeProto, names: Mapping[str, str]) -> NodeProto:
    """A copy of the node that reads and makes tensors of other names."""
    made = NodeProto()
    made.CopyFrom(node)
    del made.input[:], made.output[:]
    made.input.extend(names.get(name, name) for name in node.input)
    made.output.extend(names.get(name, name) for name in node.output)
    for graph in inner_graphs(made):
        _rename_graph(graph, names)
    return made


def _rename_graph(graph: GraphProto, names: Mapping[str, str]) -> None:
    own = {entry.name for entry in (*graph.input, *graph.initializer)}
    own.update(name for node in graph.node for name in node.output)
    outer = {name: new for name, new in names.items() if name not in own}
    nodes = [renamed(node, outer) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for output in graph.output:
        output.name = outer.get(output.name, output.name)
