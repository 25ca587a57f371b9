"""The graph with a batch axis while it grows, and in which form it carries each value.

A value of the old graph is carried in one of two forms, with the same elements in the same order:

    kept    axis 0 has extent 1 and is the batch
    under   a new axis of extent 1, the batch, lies before all axes
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ...diagnostics import Diagnostic
from ...errors import expect_within
from ...ir import Array, Graph, GraphBuilder, Node, Op, Value
from ...ir.batch import with_batch
from ...ir.ops.quant import Dequantize
from ...ir.ops.shape import Reshape


class Carrier:
    """Values by their names in the old graph.

    `problems` says which nodes have no batched form, `reasons` why, by ONNX node.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = GraphBuilder(graph.name)
        self.problems: list[Diagnostic] = []
        self.reasons: dict[str, str] = {}
        self._arrays: dict[str, Array] = dict(graph.constants)
        self._values: dict[str, Value] = {}
        self._shaped: dict[tuple[str, tuple[int, ...]], Value] = {}

    # -- what is known ---------------------------------------------------------------------------

    def is_known(self, value: Value) -> bool:
        """Whether everything before the value could be given a batch axis."""
        return value.name in self._values or value.name in self._arrays

    def is_constant(self, value: Value) -> bool:
        """Whether a value depends on no input."""
        return value.name in self._arrays

    def computed(self, node: Node) -> list[Value]:
        """The operands that depend on an input."""
        return [operand for operand in node.operands if not self.is_constant(operand)]

    def array(self, value: Value) -> Array:
        """The array of a constant."""
        return self._arrays[value.name]

    def is_kept(self, value: Value) -> bool:
        """Whether a computed value is carried with its own axis 0 as the batch."""
        return self._values[value.name].type.shape == value.type.shape

    def can_keep(self, value: Value) -> bool:
        """Whether axis 0 of a value can be the batch."""
        return value.type.shape[:1] == (1,)

    # -- forms -----------------------------------------------------------------------------------

    def kept(self, value: Value) -> Value:
        """A computed value with its own axis 0, of extent 1, as the batch."""
        return self.shaped(value, value.type.shape)

    def under(self, value: Value) -> Value:
        """A computed value under a new axis."""
        return self.shaped(value, (1, *value.type.shape))

    def shaped(self, value: Value, shape: tuple[int, ...]) -> Value:
        """The elements of a value, computed or constant, under another shape."""
        key = value.name, shape
        if key not in self._shaped:
            self._shaped[key] = self._reshaped(value, shape)
        return self._shaped[key]

    def _reshaped(self, value: Value, shape: tuple[int, ...]) -> Value:
        if self.is_constant(value) and (
            value.type.shape != shape or value.name not in self._values
        ):
            array = self.array(value).reshape(shape)
            quant = value.type.quant if value.type.shape == shape else None
            return self.builder.constant(array, value.name, quant)
        current = self._values[value.name]
        if current.type.shape == shape:
            return current
        origin = self._origin(value)
        return self.builder.add(Reshape(shape), [current], f"{value.name}/shape", origin)

    def _origin(self, value: Value) -> tuple[str, ...]:
        producer = self.graph.producer(value)
        return producer.origin if producer is not None else ()

    def all_kept(self, node: Node) -> list[Value]:
        """The operands of a node, all of the computed ones kept."""
        return [self.shaped(operand, operand.type.shape) for operand in node.operands]

    def all_under(self, node: Node) -> list[Value]:
        """The operands of a node, all of the computed ones under a new axis."""
        return [self.as_is(o) if self.is_constant(o) else self.under(o) for o in node.operands]

    def as_is(self, value: Value) -> Value:
        """A constant without change, or a computed value in the form in which it is carried."""
        if self.is_constant(value):
            return self.shaped(value, value.type.shape)
        return self._values[value.name]

    # -- growing ---------------------------------------------------------------------------------

    def enter(self, value: Value) -> None:
        """Carry an input of the graph."""
        type_ = value.type.with_shape(with_batch(value.type.shape))
        self._values[value.name] = self.builder.input(value.name, type_)

    def carry(self, node: Node, results: Sequence[Value]) -> None:
        """Carry the results of a node, each in one of the two forms."""
        for old, new in zip(node.results, results, strict=True):
            shape = old.type.shape
            assert new.type.shape in (shape, (1, *shape)), f"{node.label}: {new.type.shape}"
            self._values[old.name] = new

    def add(self, op: Op, operands: Sequence[Value], node: Node) -> tuple[Value, ...]:
        """Add what takes the place of a node, under the names of its results."""
        names = [result.name for result in node.results]
        return self.builder.add_many(op, operands, names, node.origin)

    def step(self, op: Op, operands: Sequence[Value], node: Node, what: str) -> Value:
        """Add a node on the way to the result of another."""
        return self.builder.add(op, operands, f"{node.results[0].name}/{what}", node.origin)

    def fold(self, node: Node) -> None:
        """Evaluate a node that depends on constants only.

        Dequantized codes keep their node beside the array: products know the codes by it. Raises
        `LimitError` for a constant that is too large.
        """
        types = [operand.type for operand in node.operands]
        size = sum(prod(r.type.shape) * r.type.dtype.numpy.itemsize for r in node.results)
        arrays = [self.array(operand) for operand in node.operands]
        if size > max((array.nbytes for array in arrays), default=0):
            mib = -(-size >> 20)
            text = f"{type(node.op).__name__} '{node.label}' makes constants of {mib:,} MiB"
            expect_within(mib, "constant_mib", text)
        with np.errstate(all="ignore"):
            found = node.op.evaluate(arrays, types)
        self._arrays.update((r.name, array) for r, array in zip(node.results, found, strict=True))
        if isinstance(node.op, Dequantize):
            (codes,) = node.operands
            (self._values[node.result.name],) = self.add(node.op, [self.as_is(codes)], node)

    def refuse(self, node: Node, code: str, text: str, reason: str) -> None:
        """Note that a node cannot get a batch axis."""
        self.problems.append(Diagnostic(code, text, node.label, reason=reason))
        self.reasons.update(dict.fromkeys(node.origin, reason))

    def finish(self) -> Graph:
        """The batched graph."""
        outputs = [self.shaped(v, with_batch(v.type.shape)) for v in self.graph.outputs]
        return self.builder.finish(outputs, self.graph.output_names)
