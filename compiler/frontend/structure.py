"""The structure of an ONNX graph: single assignment, no undefined names, no cycles, an order."""

from __future__ import annotations

from collections import Counter, defaultdict
from heapq import heapify, heappop, heappush

from onnx import GraphProto

from ..diagnostics import Diagnostic
from .conversion import OnnxNode


def order_nodes(graph: GraphProto, opset: int) -> tuple[list[OnnxNode], list[Diagnostic]]:
    """The nodes in topological order, ties in the order of the file, and every problem found."""
    nodes = [OnnxNode(proto, index, opset) for index, proto in enumerate(graph.node)]
    producers = {name: node.index for node in nodes for name in node.proto.output if name}
    provided = set(_given(graph))
    problems = _duplicates(graph, nodes)
    for node in nodes:
        missing = [n for n in node.proto.input if n and n not in provided and n not in producers]
        problems.extend(_undefined(node, name) for name in dict.fromkeys(missing))
    for output in graph.output:
        if output.name not in provided and output.name not in producers:
            text = f"graph output '{output.name}' is not provided by anything"
            problems.append(Diagnostic("IMC0205", text))
    order = _topological(nodes, producers)
    if len(order) < len(nodes):
        problems.append(_cycle(nodes, producers, {node.index for node in order}))
    return order, problems


def _given(graph: GraphProto) -> dict[str, None]:
    names = [entry.name for entry in graph.input] + [entry.name for entry in graph.initializer]
    return dict.fromkeys(names)


def _duplicates(graph: GraphProto, nodes: list[OnnxNode]) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    for what, entries in (("graph input", graph.input), ("weight", graph.initializer)):
        counts = Counter(entry.name for entry in entries)
        problems.extend(
            Diagnostic("IMC0204", f"two of kind {what} have the name '{name}'")
            for name, count in counts.items()
            if count > 1
        )
    seen = _given(graph)
    for node in nodes:
        for name in node.proto.output:
            if name and name in seen:
                problems.append(_at(node, "IMC0204", f"tensor '{name}' is assigned a second time"))
            seen[name] = None
    return problems


def _undefined(node: OnnxNode, name: str) -> Diagnostic:
    return _at(node, "IMC0205", f"{node.op_type} reads '{name}', which nothing provides")


def _at(node: OnnxNode, code: str, text: str) -> Diagnostic:
    return Diagnostic(code, text, node.label, node.op_type, node.index, node.opset)


def _dependencies(node: OnnxNode, producers: dict[str, int]) -> set[int]:
    return {producers[name] for name in node.proto.input if name in producers}


def _topological(nodes: list[OnnxNode], producers: dict[str, int]) -> list[OnnxNode]:
    users: dict[int, list[int]] = defaultdict(list)
    waiting = []
    for node in nodes:
        dependencies = _dependencies(node, producers)
        waiting.append(len(dependencies))
        for dependency in dependencies:
            users[dependency].append(node.index)
    ready = [index for index, count in enumerate(waiting) if not count]
    heapify(ready)
    order = []
    while ready:
        index = heappop(ready)
        order.append(nodes[index])
        for user in users[index]:
            waiting[user] -= 1
            if not waiting[user]:
                heappush(ready, user)
    return order


def _cycle(nodes: list[OnnxNode], producers: dict[str, int], done: set[int]) -> Diagnostic:
    """Walk back from the first stuck node: among stuck nodes each has a stuck producer."""
    path: list[int] = []
    index = min(node.index for node in nodes if node.index not in done)
    while index not in path:
        path.append(index)
        index = min(_dependencies(nodes[index], producers) - done)
    loop = path[path.index(index) :][::-1]
    names = " -> ".join(f"'{nodes[i].label}'" for i in [*loop[:8], loop[0]])
    return _at(nodes[min(loop)], "IMC0206", f"nodes depend on each other in a circle: {names}")
