"""Host nodes in groups that can run as one: the largest that nothing on the machine divides."""

from __future__ import annotations

from collections import defaultdict
from heapq import heapify, heappop, heappush

from ...ir import Graph, GraphBuilder, Node, Value
from ...ir.ops.host import Host
from .merge import merged


def partitioned(graph: Graph) -> Graph:
    """The graph with neighbouring host nodes merged."""
    units = _ordered(graph, _groups(graph))
    builder = GraphBuilder(graph.name, graph.batched)
    new: dict[str, Value] = {v.name: builder.input(v.name, v.type) for v in graph.inputs}
    for unit in units:
        node = merged(graph, unit) if isinstance(unit[0].op, Host) else unit[0]
        for operand in node.operands:
            _enter(graph, builder, operand, new)
        operands = [new[operand.name] for operand in node.operands]
        names = [result.name for result in node.results]
        made = builder.add_many(node.op, operands, names, node.origin)
        new.update(zip(names, made, strict=True))
    for output in graph.outputs:
        _enter(graph, builder, output, new)
    return builder.finish([new[output.name] for output in graph.outputs], graph.output_names)


def _enter(graph: Graph, builder: GraphBuilder, value: Value, new: dict[str, Value]) -> None:
    array = graph.constant(value)
    if array is not None and value.name not in new:
        new[value.name] = builder.constant(array, value.name, value.type.quant)


def _groups(graph: Graph) -> list[int]:
    """The group of each node, by index; nodes of the machine are groups of one.

    A node's level is the largest number of changes from machine to host on a path to it. Between
    host nodes of one level no path leads over the machine. So those of one level that are
    neighbours, or read the same value, are merged, and groups depend on each other only upwards.
    """
    levels = _levels(graph)
    groups = list(range(len(graph.nodes)))
    first: dict[tuple[int, str], int] = {}  # a host node by its level and what it reads or makes
    for i, node in enumerate(graph.nodes):
        if not isinstance(node.op, Host):
            continue
        for value in (*node.operands, *node.results):
            if graph.constant(value) is None:
                _join(groups, first.setdefault((levels[i], value.name), i), i)
    return [_root(groups, i) for i in range(len(groups))]


def _levels(graph: Graph) -> list[int]:
    index = _makers(graph)
    levels: list[int] = []
    for node in graph.nodes:
        hosted = isinstance(node.op, Host)
        sources = {index[value.name] for value in node.operands if value.name in index}
        above = [levels[s] + (hosted and not isinstance(graph.nodes[s].op, Host)) for s in sources]
        levels.append(max(above, default=0))
    return levels


def _makers(graph: Graph) -> dict[str, int]:
    return {value.name: i for i, node in enumerate(graph.nodes) for value in node.results}


def _root(groups: list[int], i: int) -> int:
    while groups[i] != i:
        groups[i] = groups[groups[i]]
        i = groups[i]
    return i


def _join(groups: list[int], one: int, other: int) -> None:
    a, b = _root(groups, one), _root(groups, other)
    groups[max(a, b)] = min(a, b)


def _ordered(graph: Graph, groups: list[int]) -> list[list[Node]]:
    """The groups so that each comes after what it reads, ties in the order of the graph."""
    index = _makers(graph)
    members: dict[int, list[Node]] = defaultdict(list)
    sources: dict[int, set[int]] = defaultdict(set)
    users: dict[int, set[int]] = defaultdict(set)
    for i, node in enumerate(graph.nodes):
        members[groups[i]].append(node)
        for operand in node.operands:
            source = groups[index[operand.name]] if operand.name in index else groups[i]
            if source != groups[i]:
                sources[groups[i]].add(source)
                users[source].add(groups[i])
    ready = [group for group in members if not sources[group]]
    heapify(ready)
    order = []
    while ready:
        group = heappop(ready)
        order.append(members[group])
        for user in users[group]:
            sources[user].discard(group)
            if not sources[user]:
                heappush(ready, user)
    return order
