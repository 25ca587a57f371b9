"""The frontend: ONNX models of operator sets 7 and newer become graphs of float operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from ..diagnostics import Diagnostic
from ..errors import InputError, UnsupportedError
from ..ir.graph import Graph
from . import ops as ops  # registers the converters
from .external import ExternalData
from .functions import inline_functions
from .importer import Importer
from .model import Model, load
from .registry import SupportedOperator, supported_operators
from .shapes import bind_inputs, bind_whole_inputs
from .structure import order_nodes
from .tensors import TensorReader

__all__ = ["SupportedOperator", "import_onnx", "supported_operators"]


def import_onnx(
    source: str | Path | bytes | ModelProto,
    *,
    dims: Mapping[str, int] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    batched: bool = True,
) -> Graph:
    """Read an ONNX model as a graph with batch 1.

    Axis 0 of every input is the batch and needs no size. `dims` gives sizes to other symbolic
    dimensions, `input_shapes` whole shapes to inputs. With `batched` off inputs keep their whole
    static shapes and any element type of the IR, and operators may work across axis 0: such a
    graph can be evaluated, but not compiled. Raises `InputError` for what is no valid
    model, `UnsupportedError` for what cannot be compiled, `LimitError` for what is too large; each
    carries all diagnostics.
    """
    model = load(source)
    if not batched:
        model = replace(model, proto=inline_functions(model.proto, model.opset))
    nodes, problems = order_nodes(model.proto.graph, model.opset)
    _raise(problems, model)
    bind = bind_inputs if batched else bind_whole_inputs
    inputs = bind(model.proto.graph, dims or {}, input_shapes or {})
    tensors = TensorReader(ExternalData(model.path))
    problems = list(inputs.problems)
    importer = Importer(model.proto.graph, model.opset, tensors, inputs, problems, batched)
    graph = importer.run(nodes)
    _raise(importer.problems, model)
    assert graph is not None  # there were no problems
    return graph


def _raise(problems: list[Diagnostic], model: Model) -> None:
    """Bad input outranks what is unsupported: the model itself has to be mended first."""
    if any(problem.code < "IMC04" for problem in problems):
        raise InputError(problems, model.file)
    if problems:
        raise UnsupportedError(problems, model.file)
