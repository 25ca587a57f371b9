"""Which values of a float graph never come to the machine, and so need no codes.

They go from the network's inputs to host nodes, between host nodes, or from them to its outputs:
floats as floats, integers as integers. Integers that a host node makes never become codes.
"""

from __future__ import annotations

from ..ir import DType, Graph, Value
from ..ir.ops.host import Host


def raw_values(graph: Graph) -> set[str]:
    """Names of the values that only the host has."""
    inputs = {v.name for v in graph.inputs if graph.users(v) and _only_hosts(graph, v)}
    inputs -= {value.name for value in graph.outputs}
    results = {
        value.name
        for node in graph.nodes
        if isinstance(node.op, Host)
        for value in node.results
        if _is_integer(value) or _only_hosts(graph, value)
    }
    return inputs | results


def _only_hosts(graph: Graph, value: Value) -> bool:
    return all(isinstance(user.op, Host) for user in graph.users(value))


def _is_integer(value: Value) -> bool:
    return not value.type.dtype.is_float and value.type.dtype is not DType.BOOL
