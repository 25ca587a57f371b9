"""Building graphs, and rebuilding them node by node: what every pass is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .graph import Graph, Node, Value
from .op import Array, Op, OpError, freeze
from .types import DType, QuantParams, TensorType


class GraphBuilder:
    """Collects nodes in order, infers their types and keeps names unique.

    With `batched` axis 0 is the batch, and operators that would mix samples are refused.
    """

    def __init__(self, name: str, batched: bool = True) -> None:
        self._name = name
        self.batched = batched
        self._inputs: list[Value] = []
        self._nodes: list[Node] = []
        self._constants: dict[str, Array] = {}
        self._values: dict[str, Value] = {}
        self._suffix: dict[str, int] = {}

    def input(self, name: str, type_: TensorType) -> Value:
        """Add a graph input."""
        value = self._new_value(name, type_)
        self._inputs.append(value)
        return value

    def constant(self, array: Array, name: str, quant: QuantParams | None = None) -> Value:
        """Add a constant; its element type is that of the array."""
        type_ = TensorType(DType.of(array.dtype), tuple(array.shape), quant)
        value = self._new_value(name, type_)
        self._constants[value.name] = freeze(array)
        return value

    def add(
        self, op: Op, operands: Sequence[Value], name: str, origin: Iterable[str] = ()
    ) -> Value:
        """Add a node with one result, named `name` or a name made from it."""
        return self.add_many(op, operands, [name], origin)[0]

    def add_many(
        self, op: Op, operands: Sequence[Value], names: Sequence[str], origin: Iterable[str] = ()
    ) -> tuple[Value, ...]:
        """Add a node with one result for each of `names`; raises `OpError` as `infer` does."""
        operand_types = [operand.type for operand in operands]
        types = op.infer(operand_types)
        problem = op.batch_problem(operand_types) if self.batched else ""
        if problem:
            raise OpError(problem)
        results = tuple(self._new_value(n, type_) for n, type_ in zip(names, types, strict=True))
        self._nodes.append(Node(op, tuple(operands), results, tuple(dict.fromkeys(origin))))
        return results

    def is_constant(self, value: Value) -> bool:
        """Whether `value` is a constant of the graph being built."""
        return value.name in self._constants

    def array(self, value: Value) -> Array:
        """The array of a constant of the graph being built."""
        return self._constants[value.name]

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value, sought from the last one back; None for other values."""
        return next((node for node in reversed(self._nodes) if value in node.results), None)

    def finish(self, outputs: Sequence[Value], names: Sequence[str]) -> Graph:
        """The graph with these outputs, without nodes and constants that none of them needs."""
        needed = {value.name for value in outputs}
        kept: list[Node] = []
        for node in reversed(self._nodes):
            if any(result.name in needed for result in node.results):
                kept.append(node)
                needed.update(operand.name for operand in node.operands)
        constants = {k: a for k, a in self._constants.items() if k in needed}
        return Graph(
            self._name,
            tuple(self._inputs),
            tuple(outputs),
            tuple(names),
            tuple(reversed(kept)),
            constants,
            self.batched,
        )

    def _new_value(self, name: str, type_: TensorType) -> Value:
        unique = name
        while unique in self._values:
            self._suffix[name] = self._suffix.get(name, 0) + 1
            unique = f"{name}_{self._suffix[name]}"
        value = Value(unique, type_)
        self._values[unique] = value
        return value


Replacement = Value | tuple[Value, ...]
Rule = Callable[[GraphBuilder, Node, tuple[Value, ...]], Replacement | None]


def rebuild(graph: Graph, rule: Rule) -> Graph:
    """Copy a graph, replacing each node by what `rule` builds for it.

    `rule(builder, node, operands)` gets the node of the old graph and its operands in the new
    one. It returns the value that takes the place of the node's result, or one for each of
    several results, or None to keep the node as it is. Nodes and constants that nothing needs any
    more are dropped.
    """
    builder = GraphBuilder(graph.name, graph.batched)
    new: dict[str, Value] = {v.name: builder.input(v.name, v.type) for v in graph.inputs}

    def mapped(value: Value) -> Value:
        array = graph.constant(value)
        if value.name not in new and array is not None:
            new[value.name] = builder.constant(array, value.name, value.type.quant)
        return new[value.name]

    for node in graph.nodes:
        operands = tuple(mapped(operand) for operand in node.operands)
        replacement = rule(builder, node, operands)
        if replacement is None:
            names = [result.name for result in node.results]
            replacement = builder.add_many(node.op, operands, names, node.origin)
        values = replacement if isinstance(replacement, tuple) else (replacement,)
        new.update(zip((result.name for result in node.results), values, strict=True))
    return builder.finish([mapped(output) for output in graph.outputs], graph.output_names)
