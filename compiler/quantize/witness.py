"""onnxruntime as the outside witness of quantized graphs.

Session options are pinned: all optimizations, so that the integer kernels run; exact 8-bit
products on every x86 processor; one thread.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..ir import Array

_ERRORS_ONLY = 3
_EXACT = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "QGemm",
        "QLinearConv",
        "QLinearAdd",
        "QLinearMul",
        "QLinearConcat",
        "QLinearSigmoid",
        "QLinearLeakyRelu",
        "QLinearGlobalAveragePool",
        "QLinearAveragePool",
        "QLinearSoftmax",
        "Clip",
        "Concat",
        "Identity",
        "MaxPool",
        "NhwcMaxPool",
        "Pad",
        "Relu",
        "Reshape",
        "Slice",
        "Transpose",
    }
)


class OnnxRuntimeWitness:
    """Runs a quantized ONNX model, and tells with which kernels."""

    def __init__(self, model: onnx.ModelProto) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "optimized.onnx"
            options = _options()
            options.optimized_model_filepath = str(path)
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._optimized = onnx.load(path)
        self._outputs = [output.name for output in model.graph.output]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name."""
        results = self._session.run(self._outputs, dict(inputs))
        return {
            name: np.asarray(result) for name, result in zip(self._outputs, results, strict=True)
        }

    @property
    def kernels(self) -> Counter[str]:
        """How many nodes of each operator type run after optimization."""
        return Counter(node.op_type for node in self._optimized.graph.node)

    @property
    def unfused(self) -> tuple[str, ...]:
        """Names of the nodes that compute in floats; Clip and Relu of codes are exact so."""
        nodes = self._optimized.graph.node
        return tuple(node.name for node in nodes if node.op_type not in _EXACT)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return options
