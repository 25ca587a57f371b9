"""A node test of ONNX on the machine: compiled in quantized form, compared bit for bit."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto

from imcc.isa import load_target
from imcc.runtime import Machine

from ..driver import compile_model
from ..frontend.binding import bind_constants
from ..ir import Array, evaluate
from ..ir.graph import Graph
from ..options import CompileOptions

TARGET = "dcim22"  # its sums are exact, so that the tiled graph adds nothing of its own
_DOMAINS = ("", "ai.onnx")


class DifferenceError(Exception):
    """The machine gives other codes than the quantized graph."""


def run_on_machine(
    model: ModelProto, arrays: Mapping[str, Array], parameters: Collection[str] = ()
) -> None:
    """Compile a model, calibrated on `arrays`, and run it on them.

    Inputs that decide shapes and `parameters` are constants of the model. Raises `CompileError` or
    `IsaError` where the model cannot be compiled for the machine alone, and `DifferenceError` where
    the machine does not give the codes of the quantized graph.
    """
    opset = next((e.version for e in model.opset_import if e.domain in _DOMAINS), 0)
    bound = bind_constants(model, opset, arrays, parameters)
    chip = load_target(TARGET)
    given = {entry.name: arrays[entry.name] for entry in bound.graph.input if entry.name in arrays}
    compilation = compile_model(bound, chip, CompileOptions(strict=True), given)
    samples = _samples(compilation.quantized, given)
    expected = evaluate(compilation.quantized, samples)
    found = Machine(compilation.program).run(samples)
    for name, array in expected.items():
        if not np.array_equal(array, found[name], equal_nan=array.dtype.kind == "f"):
            raise DifferenceError(f"output '{name}' differs")


def _samples(graph: Graph, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays with a batch axis in front where the graph has one of its own."""
    return {
        value.name: arrays[value.name]
        .reshape(-1, *value.type.shape[1:])
        .astype(value.type.dtype.numpy)
        for value in graph.inputs
    }
