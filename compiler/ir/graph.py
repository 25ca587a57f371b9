"""The graph: values, nodes in topological order, constants. Frozen; passes make new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .op import Array, Op
from .types import TensorType

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Value:
    """An SSA value: a name that is unique in its graph, and a type."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Node:
    """An operator applied to values. `origin` names the ONNX nodes that it came from."""

    op: Op
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    origin: tuple[str, ...] = ()

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value

    @property
    def label(self) -> str:
        """The name by which the user knows the node."""
        return " + ".join(self.origin) or self.results[0].name


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. Every operand is an input, a constant or a result of an earlier node.

    `output_names` are the names by which the user knows the outputs; passes may rename the
    values behind them. With `batched` axis 0 of every computed value is the batch, for which types
    say 1; without it types are what arrays are, and no axis is special. The compiler works on
    batched graphs; the pass `add-batch-axis` makes one of any other.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array] = field(default_factory=dict)
    batched: bool = True

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {value.name: node for node in self.nodes for value in node.results}

    @cached_property
    def _users(self) -> dict[str, tuple[Node, ...]]:
        users: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(value.name for value in node.operands):
                users[name].append(node)
        return {name: tuple(nodes) for name, nodes in users.items()}

    def producer(self, value: Value) -> Node | None:
        """The node that yields `value`; None for inputs and constants."""
        return self._producers.get(value.name)

    def users(self, value: Value) -> tuple[Node, ...]:
        """The nodes that read `value`, in order."""
        return self._users.get(value.name, ())

    def constant(self, value: Value) -> Array | None:
        """The array of a constant value; None if it is computed."""
        return self.constants.get(value.name)

    def is_output(self, value: Value) -> bool:
        """Whether `value` leaves the graph."""
        return any(output.name == value.name for output in self.outputs)

    def same_as(self, other: Graph) -> bool:
        """Whether two graphs are equal in structure, types, attributes and constants."""
        return (
            (self.name, self.inputs, self.outputs, self.output_names, self.nodes)
            == (other.name, other.inputs, other.outputs, other.output_names, other.nodes)
            and self.batched == other.batched
            and self.constants.keys() == other.constants.keys()
            and all(np.array_equal(a, other.constants[k]) for k, a in self.constants.items())
        )

    def as_networkx(self) -> nx.DiGraph[int]:
        """The nodes by index, with an edge for every value from producer to user."""
        import networkx as nx  # costs 140 ms, and few commands need it

        index = {value.name: i for i, node in enumerate(self.nodes) for value in node.results}
        view: nx.DiGraph[int] = nx.DiGraph()
        view.add_nodes_from(range(len(self.nodes)))
        view.add_edges_from(
            (index[value.name], i)
            for i, node in enumerate(self.nodes)
            for value in node.operands
            if value.name in index
        )
        return view
