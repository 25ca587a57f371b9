"""Partial evaluation: inputs that decide shapes become constants of the model.

Shapes are static in the IR. Where axes, bounds, repeats and the like come from a graph input, a
model can be imported only for given arrays of these inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto
from onnx.numpy_helper import from_array

from ..ir.op import Array
from .registry import Form, find_converter

# What these yield depends on the type of the operand alone.
_TYPE_ONLY = frozenset({"Shape", "Size", "EyeLike"})


def bind_constants(
    proto: ModelProto, opset: int, arrays: Mapping[str, Array], others: Collection[str] = ()
) -> ModelProto:
    """The model with the inputs that converters need constant, and `others`, turned into weights.

    Only inputs that `arrays` has can be bound.
    """
    names = (constant_inputs(proto.graph, opset) | set(others)) & arrays.keys()
    bound = ModelProto()
    bound.CopyFrom(proto)
    kept = [entry for entry in bound.graph.input if entry.name not in names]
    del bound.graph.input[:]
    bound.graph.input.extend(kept)
    bound.graph.initializer.extend(from_array(arrays[name], name) for name in sorted(names))
    return bound


def constant_inputs(graph: GraphProto, opset: int) -> set[str]:
    """Names of the graph inputs on which operands depend that have to be constant."""
    nodes = list(_nodes(graph))
    producers = {name: node for node in nodes for name in node.output}
    waiting: list[str] = []
    for node in nodes:
        converter = find_converter(node.op_type, opset, Form.WHOLE)
        indices = () if converter is None else converter.constants
        waiting += [node.input[index] for index in indices if index < len(node.input)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        producer = producers.get(name)
        if producer is not None and producer.op_type not in _TYPE_ONLY:
            waiting += producer.input
            waiting += [output.name for inner in _inner(producer) for output in inner.output]
    return found & {entry.name for entry in graph.input}


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """The nodes of a graph and of the graphs inside them; names are unique among all."""
    for node in graph.node:
        yield node
        for inner in _inner(node):
            yield from _nodes(inner)


def _inner(node: NodeProto) -> list[GraphProto]:
    return [entry.g for entry in node.attribute if entry.type == AttributeProto.GRAPH]
