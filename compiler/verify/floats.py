"""onnxruntime on the user's own model: the float network that everything is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..driver import Model
from ..ir import Array

_ERRORS_ONLY = 3


class FloatWitness:
    """Runs an ONNX model without optimizations, sample by sample where its batch is fixed."""

    def __init__(self, model: Model) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(
            _source(model), options, providers=["CPUExecutionProvider"]
        )
        shapes = [entry.shape for entry in self._session.get_inputs()]
        self._single = any(shape and shape[0] == 1 for shape in shapes)
        self._names = [entry.name for entry in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs [b, ...] by name."""
        count = len(next(iter(inputs.values())))
        if not self._single or count == 1:
            return self._run(inputs)
        parts = [
            self._run({name: array[i : i + 1] for name, array in inputs.items()})
            for i in range(count)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self._names}

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self._session.run(self._names, dict(inputs))
        return {name: np.asarray(result) for name, result in zip(self._names, results, strict=True)}


def _source(model: Model) -> str | bytes:
    if isinstance(model, (str, Path)):
        return str(model)
    return model if isinstance(model, bytes) else model.SerializeToString()


def onnx_model(model: Model) -> onnx.ModelProto:
    """A model as a message, weights in files beside it included."""
    if isinstance(model, (str, Path)):
        return onnx.load(model)
    return onnx.load_model_from_string(model) if isinstance(model, bytes) else model
