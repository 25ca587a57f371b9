"""onnxruntime as the outside witness of quantized graphs.

Session options are pinned: all optimizations, so that the integer kernels run; exact 8-bit
products on every x86 processor; one thread. The model is what imcc exports, or a quantized model
as the user has it.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

from ..ir import Array
from .onnx_writer import EXACT_NODE
from .session import OnnxSession

_NIBBLES = (TensorProto.INT4, TensorProto.UINT4)
_EXACT = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
        "QLinearAdd",
        "QLinearMul",
        "QLinearConcat",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearGlobalAveragePool",
        "QLinearAveragePool",
        "QLinearSoftmax",
        "Cast",
        "Clip",
        "Concat",
        "ConvInteger",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MatMulInteger",
        "Max",
        "MaxPool",
        "Min",
        "NhwcMaxPool",
        "Pad",
        "ReduceMax",
        "Relu",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)


class OnnxRuntimeWitness:
    """Runs a quantized ONNX model, and tells with which kernels."""

    def __init__(self, model: onnx.ModelProto, signed: bool = False) -> None:
        """`signed` says that activations of the model are int8."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "optimized.onnx"
            options = _options(signed)
            options.optimized_model_filepath = str(path)
            self._session = OnnxSession(model.SerializeToString(), options)
            self._optimized = onnx.load(path)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name."""
        return self._session.run(inputs)

    @property
    def kernels(self) -> Counter[str]:
        """How many nodes of each operator type run after optimization."""
        return Counter(node.op_type for node in self._optimized.graph.node)

    @property
    def unfused(self) -> tuple[str, ...]:
        """Names of the nodes that compute in floats; Clip and Relu of codes are exact so."""
        nodes = self._optimized.graph.node
        return tuple(
            node.name
            for node in nodes
            if node.op_type not in _EXACT and node.doc_string != EXACT_NODE
        )


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its 4-bit weights in bytes, for which alone there are integer kernels."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for tensor in wide.graph.initializer:
        if tensor.data_type in _NIBBLES:
            codes = numpy_helper.to_array(tensor).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(codes, tensor.name))
    return wide


def _options(signed: bool) -> onnxruntime.SessionOptions:
    """Integer kernels, exact on every processor.

    Products of signed activations are exact everywhere, once they are allowed. The option that
    makes unsigned ones exact rewrites weights, and fails on models that share zero points.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    option = "session.qdqisint8allowed" if signed else "session.x64quantprecision"
    options.add_session_config_entry(option, "1")
    return options
