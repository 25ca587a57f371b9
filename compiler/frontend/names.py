"""Names that are no UTF-8: ONNX forbids them, and its parser lets them through as bytes."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, NodeProto


def escape_names(graph: GraphProto) -> None:
    r"""Replace bytes that are no UTF-8 by ``\xff`` in all names of a graph, in place.

    Graphs inside nodes are left to the caller.
    """
    for node in graph.node:
        _escape_node(node)
    for entries in (graph.initializer, graph.input, graph.output, graph.value_info):
        for entry in entries:
            if isinstance(entry.name, bytes):
                entry.name = _escaped(entry.name)
    if isinstance(graph.name, bytes):
        graph.name = _escaped(graph.name)


def names_of(graph: GraphProto) -> Iterator[str]:
    """The name of a graph and all names in it, without those in graphs inside nodes."""
    yield graph.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for entries in (graph.initializer, graph.input, graph.output, graph.value_info):
        yield from (entry.name for entry in entries)


def _escape_node(node: NodeProto) -> None:
    for field in ("name", "op_type", "domain"):
        text = getattr(node, field)
        if isinstance(text, bytes):
            setattr(node, field, _escaped(text))
    for names in (node.input, node.output):
        for index, name in enumerate(names):
            if isinstance(name, bytes):
                names[index] = _escaped(name)


def _escaped(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
