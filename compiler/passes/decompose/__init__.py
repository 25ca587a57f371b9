"""The pass `decompose`: composite float operators become primitive ones.

What an operator is made of stands in one module a family; each decomposition is exact in real
arithmetic. A decomposition may use operators that are composite themselves: the pass sweeps over
the graph until nothing is left to take apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir import Graph, Node, OpError, Value
from ..base import Pass, PassContext
from ..rewrite import Rewriter
from . import (
    activation,
    arithmetic,
    attention,
    einsum,
    indexing,
    integers,
    masks,
    normalization,
    pooling,
    products,
    recurrent,
    reduce,
    resize,
    transposed,
)
from .registry import DECOMPOSITIONS
from .steps import Steps

__all__ = [
    "Decompose",
    "activation",
    "arithmetic",
    "attention",
    "einsum",
    "indexing",
    "integers",
    "masks",
    "normalization",
    "pooling",
    "products",
    "recurrent",
    "reduce",
    "resize",
    "transposed",
]


@dataclass(frozen=True)
class Decompose(Pass):
    """Takes composite operators apart into those that have a form on codes.

    1. Normalizations by a sample's statistics become Normalize, with scale and offset behind it.
    2. Recurrent layers are unrolled over time; all steps share their weights.
    3. Attention, rotary embeddings and sums of products over named axes become matrix products,
       Softmax and movements of elements.
    4. Resampling becomes repetition, a choice of elements, or matrix products with constants;
       transposed convolution becomes convolution.
    5. Indexing by constants becomes slices, or a gathering along one axis.
    6. Arithmetic with one constant number becomes a function of one operand, with a few of them a
       choice between such functions; a quotient by constants becomes a product with their
       reciprocals; other reductions become sums and functions, positions of extremes a choice
       between numbers.
    7. Masks before a Softmax that add large negative numbers become choices between the score and
       one bounded number, so that they do not widen the range of the scores.
    8. Integer products and quantization with constant scales and zero points become real
       arithmetic on codes of 8 bits.

    A node of which no decomposition is known, or only one that would mix samples, stays as it is.
    """

    name: ClassVar[str] = "decompose"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph of primitive operators."""
        while any(type(node.op) in DECOMPOSITIONS for node in graph.nodes):
            sweep = _Sweep(graph)
            after = sweep.run()
            if not sweep.fired:
                return graph
            graph = after
        return graph


class _Sweep:
    """One copy of a graph, in which every composite node is replaced once."""

    def __init__(self, graph: Graph) -> None:
        self.fired = False
        self._graph = graph
        self._builder = Rewriter(graph.name, graph.batched)
        self._new: dict[str, Value] = {}
        self._final: dict[str, str] = {}

    def run(self) -> Graph:
        """The copy; results keep the names that they had."""
        for value in self._graph.inputs:
            self._new[value.name] = self._builder.input(value.name, value.type)
        for node in self._graph.nodes:
            operands = tuple(self._mapped(operand) for operand in node.operands)
            for old, value in zip(node.results, self._replacement(node, operands), strict=True):
                self._new[old.name] = value
        outputs = [self._mapped(output) for output in self._graph.outputs]
        return _renamed(self._builder.finish(outputs, self._graph.output_names), self._final)

    def _mapped(self, value: Value) -> Value:
        array = self._graph.constant(value)
        if value.name not in self._new and array is not None:
            self._new[value.name] = self._builder.constant(array, value.name, value.type.quant)
        return self._new[value.name]

    def _replacement(self, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        for decomposition in DECOMPOSITIONS.get(type(node.op), ()):
            steps = Steps(self._builder, node, operands)
            try:
                made = decomposition(steps, node)
            except OpError:  # the parts would mix samples, or exceed what an operator takes
                continue
            if made is not None:
                values = made if isinstance(made, tuple) else (made,)
                self._note(steps, node, values)
                return values
        names = [result.name for result in node.results]
        if len(names) == 1:  # `add` remembers the producer, for rules that look back
            return (self._builder.add(node.op, operands, names[0], node.origin),)
        return self._builder.add_many(node.op, operands, names, node.origin)

    def _note(self, steps: Steps, node: Node, values: tuple[Value, ...]) -> None:
        """What was made in place of a result takes its name in the end."""
        self.fired = True
        for old, value in zip(node.results, values, strict=True):
            if steps.made(value) and not self._builder.is_constant(value):
                self._final.setdefault(value.name, old.name)


def _renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """The graph with values under other names, which must be free."""

    def new(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(replace(v, name=names[v.name]) if v.name in names else v for v in values)

    nodes = tuple(
        replace(node, operands=new(node.operands), results=new(node.results))
        for node in graph.nodes
    )
    return replace(graph, outputs=new(graph.outputs), nodes=nodes)
