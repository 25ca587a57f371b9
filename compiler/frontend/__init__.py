"""The frontend: ONNX models of operator sets 7 and newer become graphs of float operators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from onnx import ModelProto

from ..ir.graph import Graph
from . import ops as ops  # registers the converters
from .compilation import Imported, attempt, expect_none, import_for_compilation
from .model import load
from .registry import SupportedOperator, supported_operators

__all__ = [
    "Imported",
    "SupportedOperator",
    "import_for_compilation",
    "import_onnx",
    "supported_operators",
]


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
    graph is what the model means, without regard to what can be compiled. What is to be compiled
    is imported by `import_for_compilation`. Raises `InputError` for what is no valid
    model, `UnsupportedError` for what cannot be imported, `LimitError` for what is too large; each
    carries all diagnostics.
    """
    found = attempt(load(source), dims or {}, input_shapes or {}, batched)
    expect_none(found.problems, found.model)
    assert found.graph is not None  # there were no problems
    return found.graph
