"""Quantized models as exporters write them, in the making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from imcc.compiler.ir import Array

MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Params:
    """Names of a scale and a zero point, which may be left out; and the axis of a vector."""

    scale: str
    zero: str = ""
    axis: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The operands that are given."""
        return (self.scale, self.zero) if self.zero else (self.scale,)

    @property
    def attributes(self) -> dict[str, int]:
        """The axis, where there is one."""
        return {} if self.axis is None else {"axis": self.axis}


class Exported:
    """Nodes and constants, added one by one."""

    def __init__(self, seed: int = 0, domain: str = "") -> None:
        """`domain` is that of QuantizeLinear and DequantizeLinear."""
        self.random = np.random.default_rng(seed)
        self._domain = domain
        self._nodes: list[NodeProto] = []
        self._tensors: list[TensorProto] = []

    def constant(self, array: ArrayLike, element: int = 0) -> str:
        """A constant, in another element type than NumPy's where it says so."""
        name, given = f"c{len(self._tensors)}", np.asarray(array)
        if element:
            tensor = helper.make_tensor(name, element, given.shape, given.reshape(-1).tolist())
        else:
            tensor = numpy_helper.from_array(given, name)
        self._tensors.append(tensor)
        return name

    def floats(self, *shape: int, scale: float = 1.0) -> str:
        """Standard normal numbers, scaled."""
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def params(
        self,
        scale: ArrayLike,
        zero: ArrayLike | None = 0,
        dtype: str = "i1",
        axis: int | None = None,
        element: int = 0,
    ) -> Params:
        """A scale and a zero point of codes of this type."""
        scales = np.asarray(scale, np.float32)
        if zero is None:
            return Params(self.constant(scales), "", axis)
        zeros = np.broadcast_to(np.asarray(zero, dtype), scales.shape)
        return Params(self.constant(scales), self.constant(zeros, element), axis)

    def add(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node of one result."""
        output = f"t{len(self._nodes)}"
        name = f"{op_type.lower()}{len(self._nodes)}"
        made = helper.make_node(op_type, inputs, [output], name, domain=domain, **attributes)
        self._nodes.append(made)
        return output

    def quantize(self, x: str, params: Params, **attributes: Any) -> str:
        """Codes of real values."""
        attributes |= params.attributes
        return self.add("QuantizeLinear", x, *params.names, domain=self._domain, **attributes)

    def dequantize(self, x: str, params: Params, **attributes: Any) -> str:
        """Real values of codes."""
        attributes |= params.attributes
        return self.add("DequantizeLinear", x, *params.names, domain=self._domain, **attributes)

    def both(self, x: str, params: Params) -> str:
        """The real values of codes of real values."""
        return self.dequantize(self.quantize(x, params), params)

    def kernel(self, *shape: int, axis: int | None = 0) -> str:
        """Float weights that the model itself quantizes, as TensorRT's exporters write them."""
        fan_in = float(np.sqrt(np.prod(shape) / shape[axis or 0]))
        count = () if axis is None else (shape[axis],)
        scales = self.random.uniform(0.02, 0.03, count) / fan_in
        return self.both(self.floats(*shape, scale=1 / fan_in), self.params(scales, axis=axis))

    def coded(
        self, *shape: int, axis: int | None = 0, dtype: str = "i1", zero: int = 0, bits: int = 8
    ) -> tuple[str, Array]:
        """Dequantized codes of weights, and their scales."""
        fan_in = float(np.sqrt(np.prod(shape) / shape[axis or 0]))
        half, signed = 1 << (bits - 1), np.dtype(dtype).kind == "i"
        low, high = (-half, half) if signed else (0, 2 * half)
        codes = self.random.integers(low, high, shape).astype(dtype)
        count = () if axis is None else (shape[axis],)
        scales = (self.random.uniform(1.5, 2.5, count) / half / fan_in).astype(np.float32)
        element = 0
        if bits == 4:
            element = TensorProto.INT4 if signed else TensorProto.UINT4
        params = self.params(scales, zero, dtype, axis, element)
        return self.dequantize(self.constant(codes, element), params), scales

    def bias(self, channels: int, steps: Array) -> str:
        """Dequantized 32-bit codes of a bias."""
        codes = self.random.integers(-400, 400, channels).astype(np.int32)
        params = self.params(steps, 0, "i4", 0 if steps.ndim else None)
        return self.dequantize(self.constant(codes), params)

    def model(
        self, output: str, shape: tuple[int, ...], opset: int = 17, element: int = TensorProto.FLOAT
    ) -> ModelProto:
        """The model with a float input `x`, a batch of any size, and one output."""
        graph = helper.make_graph(
            self._nodes,
            "exported",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
            [helper.make_tensor_value_info(output, element, None)],
            self._tensors,
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)
