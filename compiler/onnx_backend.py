"""The float evaluator behind ONNX's backend interface, as the standard tests use it.

Models are evaluated as they are, without a batch axis and without quantization. Inputs that decide
shapes (see ``frontend/binding.py``) are known only when a model is run, so it is imported then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt
from onnx.numpy_helper import to_array

from .errors import CompileError, UnsupportedError
from .frontend import import_onnx
from .frontend.binding import bind_constants
from .ir import Array, Graph, evaluate, verify

_DOMAINS = ("", "ai.onnx")


def specialize(model: ModelProto, arrays: Mapping[str, Array]) -> Graph:
    """The graph of a model without batch, for inputs of these shapes.

    Inputs that decide shapes are constants of the graph, with the values of `arrays`.
    """
    opset = next((e.version for e in model.opset_import if e.domain in _DOMAINS), 0)
    bound = bind_constants(model, opset, arrays)
    free = {entry.name for entry in bound.graph.input}
    shapes = {name: array.shape for name, array in arrays.items() if name in free}
    graph = import_onnx(bound, input_shapes=shapes, batched=False)
    verify(graph)
    return graph


@dataclass(frozen=True)
class ImccRep(BackendRep):
    """A model that is imported anew for the inputs of each run."""

    model: ModelProto

    def run(self, inputs: object, **kwargs: object) -> tuple[Array, ...]:
        """The outputs in the order of the model; `inputs` are arrays in its order.

        Raises `BackendIsNotSupposedToImplementIt` naming what is not supported.
        """
        arrays = named_inputs(self.model, inputs)
        try:
            graph = specialize(self.model, arrays)
        except UnsupportedError as error:
            raise BackendIsNotSupposedToImplementIt(reason(error)) from error
        found = evaluate(graph, {value.name: arrays[value.name] for value in graph.inputs})
        return tuple(found[entry.name] for entry in self.model.graph.output)


class ImccBackend(Backend):
    """imcc's float evaluator."""

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: object) -> ImccRep:
        """A model that can be run; raises `BackendIsNotSupposedToImplementIt` for domains."""
        if not any(entry.domain in _DOMAINS for entry in model.opset_import):
            names = sorted({f"{node.domain}::{node.op_type}" for node in model.graph.node})
            text = f"operator {', '.join(names)} is not supported"
            raise BackendIsNotSupposedToImplementIt(text)
        return ImccRep(model)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Only the processor."""
        return device == "CPU"


def named_inputs(model: ModelProto, inputs: object) -> dict[str, Array]:
    """Arrays by the names of the graph inputs that are no weights.

    Raises `BackendIsNotSupposedToImplementIt` for sequences and optional values.
    """
    if not isinstance(inputs, Sequence):
        raise TypeError(f"inputs must be a sequence of arrays, found {type(inputs).__name__}")
    weights = {tensor.name for tensor in model.graph.initializer}
    entries = [entry for entry in model.graph.input if entry.name not in weights]
    for entry in (*entries, *model.graph.output):
        kind = entry.type.WhichOneof("value")
        if kind != "tensor_type":
            raise BackendIsNotSupposedToImplementIt(f"values of {kind} are not supported")
    return {e.name: as_array(a) for e, a in zip(entries, inputs, strict=False)}


def as_array(tensor: object) -> Array:
    """A tensor that is an array or ONNX's own message."""
    return to_array(tensor) if isinstance(tensor, TensorProto) else np.asarray(tensor)


def reason(error: CompileError) -> str:
    """The first thing that is wrong or not supported, in one line."""
    if not error.diagnostics:
        return str(error).splitlines()[0]
    first = error.diagnostics[0]
    return f"{first.message}: {first.reason}" if first.reason else first.message
