"""QuantizeLinear to 4 bits: codes are read as bytes, and a Clip holds them in their range.

    q4 = QuantizeLinear(x, scale, zero4);   q8 = Clip(QuantizeLinear(x, scale, zero8), -8, 7)

are the same numbers. The second form is the one in which Brevitas writes codes of few bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# The element type of bytes that hold codes of 4 bits, and the range of the codes.
_BYTES: dict[int, tuple[int, int, int]] = {
    TensorProto.INT4: (TensorProto.INT8, -8, 7),
    TensorProto.UINT4: (TensorProto.UINT8, 0, 15),
}
_OUTPUT = "output_dtype"


def clip_nibbles(proto: ModelProto) -> ModelProto:
    """The model with codes of 4 bits clipped in bytes; `proto` itself where it makes none.

    Codes that are outputs of the model stay, for bytes would be of another type.
    """
    types = {tensor.name: tensor.data_type for tensor in _constants(proto)}
    outputs = {entry.name for entry in proto.graph.output}
    found = [0 if outputs & set(n.output) else _element(n, types) for n in proto.graph.node]
    if not any(element in _BYTES for element in found):
        return proto
    plain = ModelProto()
    plain.CopyFrom(proto)
    del plain.graph.node[:]
    for node, element in zip(proto.graph.node, found, strict=True):
        plain.graph.node.extend(_clipped(node, element) if element in _BYTES else [node])
    return plain


def _constants(proto: ModelProto) -> Iterator[TensorProto]:
    """Initializers, and the tensors of Constant under the names of their results."""
    yield from proto.graph.initializer
    for node in proto.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                yield TensorProto(name=node.output[0], data_type=attribute.t.data_type)


def _element(node: NodeProto, types: dict[str, int]) -> int:
    """The element type of what a QuantizeLinear makes; 0 for other operators."""
    if node.op_type != "QuantizeLinear":
        return 0
    if len(node.input) > 2 and node.input[2]:
        return types.get(node.input[2], 0)
    return next((entry.i for entry in node.attribute if entry.name == _OUTPUT), 0)


def _clipped(node: NodeProto, element: int) -> Iterator[NodeProto]:
    output, (wide, *ends) = node.output[0], _BYTES[element]
    dtype = helper.tensor_dtype_to_np_dtype(wide)
    quantizer = NodeProto()
    quantizer.CopyFrom(node)
    quantizer.output[0] = f"{output}/bytes"
    for attribute in quantizer.attribute:
        if attribute.name == _OUTPUT:
            attribute.i = wide
    yield quantizer
    bounds = [f"{output}/low", f"{output}/high"]
    for name, end in zip(bounds, ends, strict=True):
        value = numpy_helper.from_array(np.asarray(end, dtype))
        yield helper.make_node("Constant", [], [name], node.name, value=value)
    yield helper.make_node("Clip", [quantizer.output[0], *bounds], [output], node.name)
