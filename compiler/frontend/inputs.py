"""Types of graph inputs: float32, integers, or 8-bit codes.

The scale of codes is that of the first DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import AttributeProto, TensorProto, ValueInfoProto

from ..ir.op import Array
from ..ir.types import DType, QuantParams, TensorType
from .conversion import OnnxNode, Operand
from .tensors import numpy_type

_PLAIN: dict[int, DType] = {
    TensorProto.FLOAT: DType.F32,
    TensorProto.INT32: DType.I32,
    TensorProto.INT64: DType.I64,
}
_CODES: dict[int, DType] = {TensorProto.INT8: DType.I8, TensorProto.UINT8: DType.U8}

# Operators whose first three operands are codes, their scale and their zero point.
_CODE_READERS = frozenset(
    {
        "DequantizeLinear",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMatMul",
        "QLinearMul",
        "QLinearSigmoid",
        "QLinearSoftmax",
    }
)
_MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def whole_type(entry: ValueInfoProto, shape: tuple[int, ...]) -> TensorType | None:
    """The type of an input of a graph without batch: any element type that the IR has."""
    dtype = numpy_type(entry.type.tensor_type.elem_type)
    is_tensor = entry.type.WhichOneof("value") == "tensor_type"
    return TensorType(DType.of(dtype), shape) if dtype is not None and is_tensor else None


def input_type(
    entry: ValueInfoProto,
    shape: tuple[int, ...],
    nodes: Sequence[OnnxNode],
    known: Mapping[str, Operand | None],
) -> TensorType | None:
    """The type of an input in the IR; None if such inputs are not supported."""
    element = entry.type.tensor_type.elem_type
    if element in _PLAIN:
        return TensorType(_PLAIN[element], shape)
    if element not in _CODES:
        return None
    found = {
        _scale_of(node, name, known, element == TensorProto.INT8)
        for node, name in _first_users(nodes, entry.name)
    }
    quant = found.pop() if len(found) == 1 else None
    return None if quant is None else TensorType(_CODES[element], shape, quant)


def _first_users(nodes: Sequence[OnnxNode], name: str) -> list[tuple[OnnxNode, str]]:
    """Nodes that read the codes under some name, behind operators that only move them."""
    names = {name}
    users = []
    for node in nodes:
        read = names.intersection(node.proto.input[:1])
        if node.op_type in _MOVES and read:
            names.update(node.proto.output)
        elif names.intersection(node.proto.input):
            users.append((node, min(names.intersection(node.proto.input))))
    return users


def _scale_of(
    node: OnnxNode, name: str, known: Mapping[str, Operand | None], signed: bool
) -> QuantParams | None:
    proto = node.proto
    blocks = any(
        a.type == AttributeProto.INT and a.name == "block_size" and a.i for a in proto.attribute
    )
    if proto.op_type not in _CODE_READERS or proto.input[0] != name or blocks:
        return None
    scale = known.get(proto.input[1]) if len(proto.input) > 1 else None
    zero = known.get(proto.input[2]) if len(proto.input) > 2 else None
    if not isinstance(scale, np.ndarray) or (
        len(proto.input) > 2 and not isinstance(zero, np.ndarray)
    ):
        return None
    return tensor_quantization(scale, zero if isinstance(zero, np.ndarray) else None, signed)


def tensor_quantization(scale: Array, zero: Array | None, signed: bool) -> QuantParams | None:
    """Parameters of a whole tensor of 8-bit codes; None if these are not such."""
    if scale.size != 1 or scale.dtype != np.float32 or (zero is not None and zero.size != 1):
        return None
    offset = 0 if zero is None else int(zero.reshape(-1)[0])
    return QuantParams((float(scale.reshape(-1)[0]),), (offset,), None, 8, signed)
