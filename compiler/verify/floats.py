"""onnxruntime on the user's own model: the float network that everything is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..driver import Model
from ..ir import Array, Graph
from ..ir.batch import with_batch
from ..quantize.session import OnnxSession
from .runnable import is_runnable, runnable

Arrays = Mapping[str, Array]


class FloatWitness:
    """Runs an ONNX model without optimizations, sample by sample where its batch is fixed.

    `imported` is the graph that was made of it, which says whether samples have an axis of their
    own in the model.
    """

    def __init__(self, model: Model, imported: Graph) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = OnnxSession(_source(model), options)
        self._imported = imported

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Outputs [b, ...] by name."""
        return run_samples(self._imported, self._session.run, inputs)


def run_samples(
    graph: Graph, run: Callable[[Arrays], Mapping[str, Array]], inputs: Arrays
) -> dict[str, Array]:
    """Outputs of a batch from a model that was imported as this graph.

    Where the graph has no batch axis, `run` gets one sample after the other in the shapes of the
    model, and results get their batch axis as the pass `add-batch-axis` gives it.
    """
    if graph.batched:
        return dict(run(inputs))
    count = len(next(iter(inputs.values())))
    parts = [run(sample(graph, inputs, index)) for index in range(count)]
    return {
        name: np.concatenate([part[name].reshape(with_batch(part[name].shape)) for part in parts])
        for name in parts[0]
    }


def sample(graph: Graph, inputs: Arrays, index: int) -> dict[str, Array]:
    """One sample of a batch, in the shapes of a graph without batch axis."""
    return {v.name: np.asarray(inputs[v.name][index]).reshape(v.type.shape) for v in graph.inputs}


def _source(model: Model) -> str | bytes:
    if isinstance(model, (str, Path)):
        # The weights of a model that is as large as to need files beside it are not read twice.
        shell = onnx.load(model, load_external_data=False)
        return str(model) if is_runnable(shell) else _bytes(runnable(onnx.load(model)))
    found = onnx_model(model)
    return _bytes(found if is_runnable(found) else runnable(found))


def _bytes(model: onnx.ModelProto) -> bytes:
    data: bytes = model.SerializeToString()
    return data


def onnx_model(model: Model) -> onnx.ModelProto:
    """A model as a message, weights in files beside it included."""
    if isinstance(model, (str, Path)):
        return onnx.load(model)
    return onnx.load_model_from_string(model) if isinstance(model, bytes) else model
