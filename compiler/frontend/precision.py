"""Models in float16, bfloat16 or double: what is compiled computes in float32.

Codes decide the precision on the chip, so the type in which a model was trained is only the type
in which its weights are written. Where the types of inputs and outputs change, a note says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from .tensors import OTHER_FLOATS, type_name

# Attributes that name an element type.
_TYPES = ("dtype", "output_dtype", "stash_type", "to")


def single_precision(proto: ModelProto) -> tuple[ModelProto, tuple[str, ...]]:
    """The model with float32 for every other kind of float, and notes on inputs and outputs.

    `proto` itself where it has none. Weights stay as they are: `TensorReader` converts them.
    """
    if not any(True for _ in _places(proto.graph)):
        return proto, ()
    single = ModelProto()
    single.CopyFrom(proto)
    for place in list(_places(single.graph)):
        if isinstance(place, AttributeProto):
            place.i = TensorProto.FLOAT
        else:
            place.type.tensor_type.elem_type = TensorProto.FLOAT
    del single.graph.value_info[:]
    ends = [entry for entry in (*proto.graph.input, *proto.graph.output) if _is_other(entry)]
    return single, tuple(
        f"'{entry.name}' is {type_name(entry.type.tensor_type.elem_type)} in the model; "
        "the program has it in float32"
        for entry in ends
    )


def _places(graph: GraphProto) -> Iterator[ValueInfoProto | AttributeProto]:
    """Where another kind of float is named, graphs inside nodes included."""
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        yield from filter(_is_other, (*current.input, *current.output))
        for node in current.node:
            yield from _named_types(node)
            for attribute in node.attribute:
                if attribute.type == AttributeProto.GRAPH:
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def _named_types(node: NodeProto) -> Iterator[AttributeProto]:
    for attribute in node.attribute:
        if attribute.name in _TYPES and attribute.i in OTHER_FLOATS:
            yield attribute


def _is_other(entry: ValueInfoProto) -> bool:
    return entry.type.tensor_type.elem_type in OTHER_FLOATS
