"""onnxruntime on the user's own model: the float network that everything is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import onnxruntime

from ..driver import Model
from ..ir import Array
from ..quantize.session import OnnxSession


class FloatWitness:
    """Runs an ONNX model without optimizations, sample by sample where its batch is fixed."""

    def __init__(self, model: Model) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = OnnxSession(_source(model), options)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs [b, ...] by name."""
        return self._session.run(inputs)


def _source(model: Model) -> str | bytes:
    if isinstance(model, (str, Path)):
        return str(model)
    return model if isinstance(model, bytes) else model.SerializeToString()


def onnx_model(model: Model) -> onnx.ModelProto:
    """A model as a message, weights in files beside it included."""
    if isinstance(model, (str, Path)):
        return onnx.load(model)
    return onnx.load_model_from_string(model) if isinstance(model, bytes) else model
