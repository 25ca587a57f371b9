"""An import that goes on where it can: what became of every ONNX node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from ..diagnostics import Diagnostic
from ..errors import InputError
from ..frontend.compilation import best_attempt
from ..frontend.conversion import OnnxNode
from ..frontend.importer import Importer
from ..ir import Graph, Value


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
    notes: tuple[str, ...]
    hosted: tuple[Diagnostic, ...]


def trace_import(
    source: str | Path | bytes | ModelProto,
    dims: Mapping[str, int],
    input_shapes: Mapping[str, tuple[int, ...]],
    hosts: Mapping[str, str],
    sketched: bool = False,
) -> Trace:
    """Import a model; what is not supported becomes a problem and does not end the import.

    `hosts` are nodes for the host, each with the reason; others join them if that makes the model
    whole. With `sketched` the weights of large models are not read. Raises `InputError` for what
    is no valid model, `LimitError` for what is too large, and `UnsupportedError` for models whose
    nodes cannot even be looked at.
    """
    found = best_attempt(source, dims, input_shapes, hosts, sketched)
    if found.is_bad_input:
        raise InputError(found.problems, found.model.file)
    importer = found.importer
    ordered = tuple(sorted(found.nodes, key=lambda node: node.index))
    unknown = frozenset(node.index for node in ordered if _is_unknown(importer, node))
    return Trace(
        found.model.file,
        ordered,
        importer.partial(_ends(ordered, unknown)) if found.graph is None else found.graph,
        frozenset(node.index for node in ordered if _is_constant(importer, node)) - unknown,
        unknown,
        found.problems,
        found.notes,
        tuple(importer.hosted),
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
