"""Rewriting a graph with local rules: what the clean-up passes are made of.

A rule looks at one node and at what produced its operands in the graph being built, in which
everything before the node has been rewritten already. So one sweep settles whole chains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..ir import Array, Graph, GraphBuilder, Node, Op, Value

# Names are kept of so many nodes that became one: a chain of n would take n^2 names.
_MOST_ORIGINS = 256


class Rewriter(GraphBuilder):
    """A builder that knows which node made a value, and how often a value is used.

    A rule that cannot fire although its pattern is there says why with `note`.
    """

    def __init__(self, name: str, batched: bool = True) -> None:
        super().__init__(name, batched)
        self.notes: list[str] = []
        self._producers: dict[str, Node] = {}
        self._uses: Counter[str] = Counter()

    def add(
        self, op: Op, operands: Sequence[Value], name: str, origin: Iterable[str] = ()
    ) -> Value:
        """Add a node with one result and remember it."""
        origin = tuple(origin)
        value = super().add(op, operands, name, origin)
        self._producers[value.name] = Node(op, tuple(operands), (value,), origin)
        return value

    def replace(self, node: Node, op: Op, *operands: Value, fused: Sequence[Node] = ()) -> Value:
        """Add what takes the place of `node`, and of nodes before it that it absorbs."""
        origin = [name for part in (*fused, node) for name in part.origin]
        return self.add(op, operands, node.result.name, origin[:_MOST_ORIGINS])

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value; None for inputs and constants."""
        return self._producers.get(value.name)

    def producer_of(self, value: Value, *kinds: type[Op]) -> Node | None:
        """The node that makes a value, if its operator is of one of these kinds."""
        node = self.producer(value)
        return node if node is not None and isinstance(node.op, kinds) else None

    def constant_array(self, value: Value) -> Array | None:
        """The array of a constant; None for what is computed."""
        return self.array(value) if self.is_constant(value) else None

    def used_once(self, value: Value) -> bool:
        """Whether one node reads the value, and it is no output."""
        return self.uses(value) == 1

    def uses(self, value: Value) -> int:
        """How often nodes read the value, or it is an output, as far as is known yet."""
        return self._uses[value.name]

    def note(self, node: Node, reason: str) -> None:
        """Record why a rule did not fire."""
        self.notes.append(f"{node.label}: {reason}")

    def count_uses(self, value: Value, uses: int) -> None:
        """Say that a value stands for one with so many uses in the old graph."""
        self._uses[value.name] += uses


Rule = Callable[[Rewriter, Node, tuple[Value, ...]], Value | None]
Rules = Mapping[type[Op], Sequence[Rule]]


def rewrite(graph: Graph, rules: Rules, notes: list[str] | None = None) -> Graph:
    """Apply to each node the first rule of its operator that fires, in one sweep."""
    builder = Rewriter(graph.name, graph.batched)
    new: dict[str, Value] = {}
    uses = Counter(operand.name for node in graph.nodes for operand in node.operands)
    uses.update(output.name for output in graph.outputs)

    def enter(old: Value, value: Value) -> None:
        new[old.name] = value
        builder.count_uses(value, uses[old.name])

    def mapped(old: Value) -> Value:
        array = graph.constant(old)
        if old.name not in new and array is not None:
            enter(old, builder.constant(array, old.name, old.type.quant))
        return new[old.name]

    for value in graph.inputs:
        enter(value, builder.input(value.name, value.type))
    for node in graph.nodes:
        operands = tuple(mapped(operand) for operand in node.operands)
        results = _rewritten(builder, rules.get(type(node.op), ()), node, operands)
        for old, value in zip(node.results, results, strict=True):
            enter(old, value)
    outputs = [mapped(output) for output in graph.outputs]
    if notes is not None:
        notes.extend(note for note in builder.notes if note not in notes)
    return builder.finish(outputs, graph.output_names)


def rewrite_until_settled(graph: Graph, rules: Rules, notes: list[str] | None = None) -> Graph:
    """Sweep until nothing changes.

    Every rule shrinks the graph or leads towards a normal form, so few sweeps are needed; the
    number of nodes bounds them.
    """
    for _ in range(len(graph.nodes) + 1):
        after = rewrite(graph, rules, notes)
        if after.nodes == graph.nodes:
            break
        graph = after
    return graph


def _rewritten(
    builder: Rewriter, rules: Sequence[Rule], node: Node, operands: tuple[Value, ...]
) -> tuple[Value, ...]:
    """What takes the place of a node's results; rules are about nodes with one."""
    if len(node.results) != 1:
        names = [value.name for value in node.results]
        return builder.add_many(node.op, operands, names, node.origin)
    found = _first(builder, rules, node, operands)
    if found is None:
        return (builder.add(node.op, operands, node.result.name, node.origin),)
    if found in operands:
        builder.count_uses(found, -1)  # the node that read it is gone
    return (found,)


def _first(
    builder: Rewriter, rules: Sequence[Rule], node: Node, operands: tuple[Value, ...]
) -> Value | None:
    found = (rule(builder, node, operands) for rule in rules)
    return next((value for value in found if value is not None), None)
