"""Parts of the network that the host computes are written as the user has them."""

from __future__ import annotations

import numpy as np
from onnx import (
    ModelProto,
    TensorProto,
    ValueInfoProto,
    load_model_from_string,
    numpy_helper,
    version_converter,
)

from ...errors import UnsupportedError
from ...ir import Node, Value
from ...ir.ops.host import Host
from ..onnx_writer import EXACT_NODE, OPSET, OnnxWriter
from .registry import exports


@exports(Host)
def export_host(writer: OnnxWriter, node: Node) -> tuple[str, ...]:
    """The nodes of the part, between DequantizeLinear and QuantizeLinear where there are codes."""
    assert isinstance(node.op, Host)
    graph = _in_operator_set(load_model_from_string(node.op.model), node.label).graph
    names = {
        entry.name: _operand(writer, value, entry)
        for value, entry in zip(node.operands, graph.input, strict=True)
    }
    names |= {t.name: _constant(writer, t, node) for t in graph.initializer}
    names |= writer.embed(graph.node, names, node.results[0].name, EXACT_NODE)
    return tuple(
        _result(writer, value, entry, names[entry.name])
        for value, entry in zip(node.results, graph.output, strict=True)
    )


def _in_operator_set(model: ModelProto, label: str) -> ModelProto:
    """The model in the operator set of the export; raises `UnsupportedError`."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if versions == [OPSET]:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(
            f"{label}: has no form in ONNX operator set {OPSET}, in which imcc exports: {error}"
        ) from error


def _constant(writer: OnnxWriter, tensor: TensorProto, node: Node) -> str:
    name = f"{node.results[0].name}:{tensor.name}"
    return writer.initializer(name, numpy_helper.to_array(tensor))


def _operand(writer: OnnxWriter, value: Value, entry: ValueInfoProto) -> str:
    """A tensor in the type and shape for which the part was made."""
    tensor, element = writer.tensor(value), entry.type.tensor_type.elem_type
    if value.type.quant is not None:
        tensor = writer.real(value)
        if element != TensorProto.FLOAT:
            tensor = writer.add("Cast", [tensor], f"{value.name}/cast", to=element)
    return _shaped(writer, tensor, _shape(entry), value.type.shape, value.name)


def _result(writer: OnnxWriter, value: Value, entry: ValueInfoProto, tensor: str) -> str:
    tensor = _shaped(writer, tensor, value.type.shape, _shape(entry), value.name)
    if value.type.quant is None:
        return tensor
    if entry.type.tensor_type.elem_type != TensorProto.FLOAT:
        tensor = writer.add("Cast", [tensor], f"{value.name}/cast", to=TensorProto.FLOAT)
    params = value.type.quant
    return writer.codes(tensor, params, value.name, params.low, params.high)


def _shaped(
    writer: OnnxWriter, tensor: str, shape: tuple[int, ...], known: tuple[int, ...], name: str
) -> str:
    if shape == known:
        return tensor
    target = writer.initializer(f"{name}/shape", np.asarray(shape, np.int64))
    return writer.add("Reshape", [tensor, target], f"{name}/reshaped")


def _shape(entry: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in entry.type.tensor_type.shape.dim)
