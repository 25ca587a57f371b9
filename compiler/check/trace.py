"""An import that goes on where it can: what became of every ONNX node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from ..diagnostics import Diagnostic, in_graph_order
from ..errors import InputError
from ..frontend.conversion import OnnxNode
from ..frontend.external import ExternalData
from ..frontend.importer import Importer
from ..frontend.model import load
from ..frontend.shapes import bind_inputs
from ..frontend.structure import order_nodes
from ..frontend.tensors import TensorReader
from ..ir import Graph, Value

_UNSUPPORTED = "IMC04"  # codes below are bad input


@dataclass(frozen=True, eq=False)
class Trace:
    """The nodes in the order of the file, and the graph as far as it could be imported.

    `constant` and `unknown` are indices of nodes: those that were computed at import, and those of
    which nothing is known because of a problem, there or before them.
    """

    file: str
    nodes: tuple[OnnxNode, ...]
    graph: Graph
    constant: frozenset[int]
    unknown: frozenset[int]
    problems: tuple[Diagnostic, ...]


def trace_import(
    source: str | Path | bytes | ModelProto,
    dims: Mapping[str, int],
    input_shapes: Mapping[str, tuple[int, ...]],
) -> Trace:
    """Import a model; what is not supported becomes a problem and does not end the import.

    Raises `InputError` for what is no valid model, `LimitError` for what is too large, and
    `UnsupportedError` for models whose nodes cannot even be looked at.
    """
    model = load(source)
    nodes, wrong = order_nodes(model.proto.graph, model.opset)
    if wrong:
        raise InputError(wrong, model.file)
    inputs = bind_inputs(model.proto.graph, dims, input_shapes)
    tensors = TensorReader(ExternalData(model.path))
    importer = Importer(model.proto.graph, model.opset, tensors, inputs, list(inputs.problems))
    graph = importer.run(nodes)
    problems = tuple(in_graph_order(importer.problems))
    if any(problem.code < _UNSUPPORTED for problem in problems):
        raise InputError(problems, model.file)
    ordered = tuple(sorted(nodes, key=lambda node: node.index))
    unknown = frozenset(node.index for node in ordered if _is_unknown(importer, node))
    return Trace(
        model.file,
        ordered,
        importer.partial(_ends(ordered, unknown)) if graph is None else graph,
        frozenset(node.index for node in ordered if _is_constant(importer, node)) - unknown,
        unknown,
        problems,
    )


def _is_unknown(importer: Importer, node: OnnxNode) -> bool:
    names = [name for name in node.proto.output if name]
    return all(importer.known(name) is None for name in names)


def _is_constant(importer: Importer, node: OnnxNode) -> bool:
    return not any(isinstance(importer.known(name), Value) for name in node.proto.output)


def _ends(nodes: tuple[OnnxNode, ...], unknown: frozenset[int]) -> list[str]:
    """Results of known nodes that no known node reads."""
    known = [node for node in nodes if node.index not in unknown]
    read = {name for node in known for name in node.proto.input}
    return [name for node in known for name in node.proto.output if name and name not in read]
