"""Writing an ONNX model tensor by tensor, with quantization around float operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

from ..ir import Array, DType, Graph, QuantParams, Value
from ..ir.ops.host import Host
from ..ir.requant import code_type, dequantize
from ..onnx_names import renamed

OPSET = 17
IR_VERSION = 8
BATCH = "N"
# The description of a node that computes in integers, or rounds once, though its kind need not.
EXACT_NODE = "exact"
_CODE_LIMITS = {DType.U8: (0, 255), DType.I8: (-128, 127)}


class OnnxWriter:
    """The ONNX model in the making: tensors for values, and names that are unique."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._tensors = {value.name: value.name for value in graph.inputs}
        # Names of inputs and outputs are the user's; no other tensor may take them.
        self._names = {*self._tensors, *graph.output_names}

    def output(self, value: Value, name: str) -> None:
        """Give an output of the graph the name by which the user knows it."""
        inputs = [self.tensor(value)]
        self._nodes.append(helper.make_node("Identity", inputs, [name], name=f"{name}/output"))

    def bind(self, value: Value, tensor: str) -> None:
        """Say which tensor holds a value."""
        self._tensors[value.name] = tensor

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        graph = self._graph
        single = any(isinstance(node.op, Host) for node in graph.nodes)
        batch = 1 if single else BATCH
        inputs = [_value_info(value.name, value, batch) for value in graph.inputs]
        outputs = [
            _value_info(name, value, batch)
            for name, value in zip(graph.output_names, graph.outputs, strict=True)
        ]
        body = helper.make_graph(
            self._nodes, graph.name or "graph", inputs, outputs, list(self._initializers.values())
        )
        others = sorted({(n.domain, 1) for n in self._nodes if n.domain not in ("", "ai.onnx")})
        return helper.make_model(
            body,
            opset_imports=[helper.make_opsetid(*entry) for entry in (("", OPSET), *others)],
            ir_version=IR_VERSION,
            producer_name="imcc",
        )

    def is_constant(self, value: Value) -> bool:
        """Whether a value is a constant of the graph."""
        return value.name in self._graph.constants

    def constant(self, value: Value) -> Array:
        """The array of a constant."""
        return self._graph.constants[value.name]

    def tensor(self, value: Value) -> str:
        """The tensor of a value; constants become initializers."""
        if value.name not in self._tensors:
            name = self._unique(value.name)
            self._tensors[value.name] = self.initializer(name, self._graph.constants[value.name])
        return self._tensors[value.name]

    def initializer(self, name: str, array: ArrayLike) -> str:
        """An initializer of this name; made once."""
        if name not in self._initializers:
            self._names.add(name)
            self._initializers[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def add(self, op_type: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node whose output tensor has a name made from `name`."""
        output = self._unique(name)
        node = helper.make_node(op_type, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        return output

    def embed(
        self, nodes: Iterable[onnx.NodeProto], names: Mapping[str, str], owner: str, doc: str
    ) -> dict[str, str]:
        """Add nodes as they are; `names` has the tensors that they read from outside.

        Returns the names of the tensors that they make, by those that they have now.
        """
        found: dict[str, str] = {}
        for node in nodes:
            made = {name: self._unique(f"{owner}:{name}") for name in node.output if name}
            found |= made
            self._nodes.append(renamed(node, {**names, **found}))
            self._nodes[-1].doc_string = doc
        return found

    def real(self, value: Value) -> str:
        """The real values of codes."""
        assert value.type.quant is not None
        if value.type.dtype is DType.I16:
            return self._wide(value, value.type.quant)
        return self.dequantized(self.tensor(value), value.type.quant, value.name)

    def _wide(self, value: Value, params: QuantParams) -> str:
        """The real values of 9-bit weights: codes of a byte with one zero point, or as they are.

        Such weights had a zero point in the user's model. Where channels had different ones, no
        integer kernel takes them.
        """
        codes = self.constant(value).astype(np.int32)
        zero = -int(codes.min(initial=0))
        if int(codes.max(initial=0)) + zero >= 1 << 8:
            reals = dequantize(self.constant(value), params)
            return self.initializer(self._unique(f"{value.name}/real"), reals)
        shape = () if params.axis is None else (len(params.scale),)
        parts: dict[str, Array] = {
            "": (codes + zero).astype(np.uint8),
            ".scale": np.asarray(params.scale, np.float32).reshape(shape),
            ".zero_point": np.full(shape, zero, np.uint8),
        }
        inputs = [self.initializer(self._unique(value.name + k), v) for k, v in parts.items()]
        return self.add("DequantizeLinear", inputs, f"{value.name}/real", **_axis(params))

    def dequantized(self, codes: str, params: QuantParams, name: str) -> str:
        """The real values of a tensor of codes."""
        inputs = [codes, *self.params(params, f"{name}/dequantize")]
        return self.add("DequantizeLinear", inputs, f"{name}/real", **_axis(params))

    def params(self, params: QuantParams, owner: str) -> tuple[str, str]:
        """Initializers of scale and zero point."""
        shape = () if params.axis is None else (len(params.scale),)
        scale = np.asarray(params.scale, np.float32).reshape(shape)
        dtype = np.int32 if params.bits == 32 else code_type(params).numpy
        zero = np.asarray(params.zero_point, dtype).reshape(shape)
        return (
            self.initializer(self._unique(f"{owner}.scale"), scale),
            self.initializer(self._unique(f"{owner}.zero_point"), zero),
        )

    def codes(self, real: str, params: QuantParams, name: str, low: int, high: int) -> str:
        """Codes of real values, clipped to `low..high` where their type does not do it."""
        scale, zero = self.params(params, f"{name}/quantize")
        codes = self.add("QuantizeLinear", [real, scale, zero], name)
        limits = _CODE_LIMITS[code_type(params)]
        if (low, high) == limits:
            return codes
        ends = dequantize(np.asarray([low, high]), params)
        bounds = [
            self.initializer(self._unique(f"{name}.{which}"), end)
            for which, end in zip(("low", "high"), ends, strict=True)
        ]
        clipped = self.add("Clip", [self.dequantized(codes, params, name), *bounds], f"{name}/clip")
        return self.add("QuantizeLinear", [clipped, scale, zero], name)

    def _unique(self, name: str) -> str:
        unique, count = name, 0
        while unique in self._names:
            count += 1
            unique = f"{name}_{count}"
        self._names.add(unique)
        return unique


def _value_info(name: str, value: Value, batch: str | int) -> onnx.ValueInfoProto:
    shape: list[str | int | None] = [batch, *value.type.shape[1:]]
    element = helper.np_dtype_to_tensor_dtype(value.type.dtype.numpy)
    return helper.make_tensor_value_info(name, element, shape)


def _axis(params: QuantParams) -> dict[str, int]:
    return {} if params.axis is None else {"axis": params.axis}
