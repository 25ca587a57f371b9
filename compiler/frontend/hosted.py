"""ONNX nodes that stay what they are: the host runs them with onnxruntime.

A node becomes the operator `Host`: a model of this node alone, its constants inside. Types of its
results are those that onnxruntime infers, which must be static.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from ..ir.builder import GraphBuilder
from ..ir.graph import Value
from ..ir.op import Array
from ..ir.ops.host import Host, open_session
from ..ir.types import DType, TensorType
from ..native import NativeCrashError, NativeError, tried
from ..onnx_names import captured_names, inner_graphs
from .conversion import OnnxNode, Operand, Rejection

_DYNAMIC = "shapes are fixed at compile time, and those of its results depend on the data"
_BATCH = "axis 0 is the batch, and its results have none"
_ONNX = {
    DType.F16: TensorProto.FLOAT16,
    DType.F32: TensorProto.FLOAT,
    DType.F64: TensorProto.DOUBLE,
    DType.I8: TensorProto.INT8,
    DType.I16: TensorProto.INT16,
    DType.I32: TensorProto.INT32,
    DType.I64: TensorProto.INT64,
    DType.U8: TensorProto.UINT8,
    DType.U16: TensorProto.UINT16,
    DType.U32: TensorProto.UINT32,
    DType.U64: TensorProto.UINT64,
    DType.BOOL: TensorProto.BOOL,
}
# Streams of the machine have no more elements, and messages of ONNX end at 2 GiB.
_MOST_ELEMENTS = 1 << 26
_MOST_BYTES = 1 << 30
_TOO_LARGE = f"at most {_MOST_ELEMENTS} can cross to the chip"
_NUMPY = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class Hosting:
    """What goes to the host: nodes by label, each with the reason, and what cannot be imported.

    `frame` is the user's model, for its operator sets.
    """

    frame: ModelProto
    reasons: Mapping[str, str] = field(default_factory=dict)

    def reason(self, node: OnnxNode) -> Rejection | None:
        """Why a node goes to the host although it can be imported; None if it does not."""
        reason = self.reasons.get(node.label)
        text = f"operator {node.op_type} is not supported in this form"
        return None if reason is None else Rejection("IMC0403", text, reason)


@dataclass(frozen=True)
class HostNode:
    """A node with all that it reads; `known` gives what a name is. `wanted` results are read."""

    node: OnnxNode
    known: Callable[[str], Operand | None]
    wanted: tuple[bool, ...]
    frame: ModelProto

    def emit(self, builder: GraphBuilder, keeps_samples: bool) -> list[Value | None]:
        """Add the node to a graph; a result that nobody reads is None.

        With `keeps_samples` results must have a batch axis wherever operands have one. Raises
        `Rejection` where onnxruntime cannot run the node, or its results are not static.
        """
        computed = {name: found for name, found in self._operands() if isinstance(found, Value)}
        if any(value.type.quant is not None for value in computed.values()):
            raise self._rejection("it works on codes of a quantized model")
        types = {name: value.type for name, value in computed.items()}
        model, results = self._typed(types)
        if builder.batched and any(t.shape[:1] != (1,) for t in results.values()):
            raise self._rejection(_BATCH, "IMC0404")
        if builder.batched and keeps_samples:
            self._expect_samples(types, results)
        op = Host(model, tuple(types.values()), tuple(results.values()))
        made = builder.add_many(op, tuple(computed.values()), tuple(results), (self.node.label,))
        found = dict(zip(results, made, strict=True))
        return [found.get(name) for name in self.node.proto.output]

    def _operands(self) -> Iterator[tuple[str, Operand]]:
        names = [*self.node.proto.input, *captured_names(self.node.proto)]
        for name in dict.fromkeys(name for name in names if name):
            operand = self.known(name)
            if operand is not None:
                yield name, operand

    def _typed(self, types: Mapping[str, TensorType]) -> tuple[bytes, dict[str, TensorType]]:
        """The model of the node for operands of these types, and the types of its results."""
        proto = self.node.proto
        names = [n for n, read in zip(proto.output, self.wanted, strict=True) if n and read]
        results = self._inferred(_serialized(self._model(types, names, {})), names)
        return _serialized(self._model(types, names, results)), results

    def _model(
        self, types: Mapping[str, TensorType], names: Sequence[str], known: Mapping[str, TensorType]
    ) -> ModelProto:
        constants = {n: found for n, found in self._operands() if not isinstance(found, Value)}
        if sum(array.nbytes for array in constants.values()) > _MOST_BYTES:
            raise self._rejection(f"its constants take more than {_MOST_BYTES} bytes")
        graph = GraphProto(name=self.node.label, node=[self.node.proto])
        graph.input.extend(_value_info(name, type_) for name, type_ in types.items())
        graph.initializer.extend(_tensor(array, name) for name, array in constants.items())
        for name in names:
            type_ = known.get(name)
            graph.output.append(
                helper.make_empty_tensor_value_info(name)
                if type_ is None
                else _value_info(name, type_)
            )
        return helper.make_model(
            graph,
            opset_imports=list(self.frame.opset_import),
            ir_version=self.frame.ir_version,
            producer_name="imcc",
        )

    def _inferred(self, model: bytes, names: Sequence[str]) -> dict[str, TensorType]:
        try:
            outputs = tried(model)
        except NativeError as error:
            reason = str(error).split(" : ")[-1].strip()
            raise self._rejection(f"onnxruntime says: {reason}", "IMC0401") from error
        except NativeCrashError as error:
            raise self._rejection(
                f"onnxruntime did not come through: {error}", "IMC0211"
            ) from error
        return {
            name: self._type(entry.type, entry.shape)
            for name, entry in zip(names, outputs, strict=True)
        }

    def _type(self, element: str, shape: Sequence[object]) -> TensorType:
        name = element.removeprefix("tensor(").removesuffix(")")
        try:
            dtype = DType.of(np.dtype(_NUMPY.get(name, name)))
        except (KeyError, TypeError) as error:
            raise self._rejection(f"its result is {element}", "IMC0405") from error
        extents = [extent for extent in shape if isinstance(extent, int) and extent > 0]
        if len(extents) < len(shape):
            raise self._rejection(_DYNAMIC)
        if prod(extents) > _MOST_ELEMENTS:
            raise self._rejection(f"a result has {prod(extents)} elements: {_TOO_LARGE}")
        return TensorType(dtype, tuple(extents))

    def _expect_samples(
        self, types: Mapping[str, TensorType], results: Mapping[str, TensorType]
    ) -> None:
        """Two samples must give together what they give alone; tried on random numbers.

        What holds graphs of its own could run for ever, and is not tried.
        """
        if inner_graphs(self.node.proto):
            raise self._rejection(_BATCH, "IMC0404")
        pairs = {name: _doubled(type_) for name, type_ in types.items()}
        names = list(results)
        model = _serialized(self._model(pairs, names, {}))
        if self._inferred(model, names) != {n: _doubled(t) for n, t in results.items()}:
            raise self._rejection(_BATCH, "IMC0404")
        generator = np.random.default_rng(0)
        both = {name: _random(generator, type_) for name, type_ in pairs.items()}
        alone = _serialized(self._model(types, names, results))
        parts = [
            self._run(alone, {name: array[i : i + 1] for name, array in both.items()})
            for i in range(2)
        ]
        for together, *apart in zip(self._run(model, both), *parts, strict=True):
            if not np.allclose(together, np.concatenate(apart), rtol=1e-4, equal_nan=True):
                raise self._rejection(_BATCH, "IMC0404")

    def _run(self, model: bytes, inputs: Mapping[str, Array]) -> list[Array]:
        try:
            return [np.asarray(result) for result in open_session(model).run(None, dict(inputs))]
        except Exception as error:  # onnxruntime's errors have no common class
            raise self._rejection(f"onnxruntime says: {error}") from error

    def _rejection(self, reason: str, code: str = "IMC0403") -> Rejection:
        return Rejection(code, f"operator {self.node.op_type} cannot run on the host", reason)


def _doubled(type_: TensorType) -> TensorType:
    return type_.with_shape((2, *type_.shape[1:]))


def _random(generator: np.random.Generator, type_: TensorType) -> Array:
    if type_.dtype.is_float:
        return generator.standard_normal(type_.shape).astype(type_.dtype.numpy)
    return generator.integers(0, 2, type_.shape).astype(type_.dtype.numpy)


def _serialized(model: ModelProto) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _tensor(array: Array, name: str) -> TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


def _value_info(name: str, type_: TensorType) -> object:
    return helper.make_tensor_value_info(name, _ONNX[type_.dtype], type_.shape)
