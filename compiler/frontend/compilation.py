"""Imports for compiling: with samples apart along axis 0 if possible, else with batch 1.

A model whose operators reach across axis 0 (windows cut out of an image and put into the batch,
sequences with time first) has no batch axis that every value could keep. Such a model is imported
whole, for one sample, with open first axes of extent 1; the pass `add-batch-axis` puts a batch
axis before what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ..diagnostics import Diagnostic, in_graph_order
from ..errors import InputError, LimitError, UnsupportedError
from ..ir.graph import Graph
from ..work import expect_live
from .conversion import OnnxNode
from .dynamic import static_products
from .external import ExternalData
from .functions import inline_functions
from .hosted import Hosting
from .importer import Importer
from .model import Model, load
from .precision import single_precision
from .shapes import bind_inputs, bind_whole_inputs
from .structure import order_nodes
from .tensors import TensorReader

_UNSUPPORTED = "IMC04"  # codes below are bad input


@dataclass(frozen=True, eq=False)
class Imported:
    """A graph to compile, and what the user should know about it.

    `hosted` says which nodes stay ONNX nodes for the host, and why.
    """

    graph: Graph
    notes: tuple[str, ...]
    hosted: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, eq=False)
class Attempt:
    """One way to import a model, and how far it came: without a graph it has problems.

    `nodes` are in the order in which they are computed. `importer` knows what became of them.
    """

    model: Model
    nodes: tuple[OnnxNode, ...]
    importer: Importer
    graph: Graph | None
    problems: tuple[Diagnostic, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_bad_input(self) -> bool:
        """Whether the model itself has to be mended first."""
        return any(problem.code < _UNSUPPORTED for problem in self.problems)

    @property
    def reached(self) -> tuple[bool, bool, float]:
        """How far the import came: greater is further."""
        results = [name for node in self.nodes for name in node.proto.output if name]
        known = sum(self.importer.known(name) is not None for name in results)
        return (self.graph is not None, not self.is_bad_input, known / max(1, len(results)))


def import_for_compilation(
    source: str | Path | bytes | ModelProto,
    dims: Mapping[str, int] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    hosts: Mapping[str, str] | None = None,
) -> Imported:
    """Read an ONNX model as a graph to compile: batched, or else whole for one sample.

    `hosts` names nodes that the host computes, each with the reason; nodes that cannot be imported
    join them. Without it these are problems. Other arguments and errors are those of
    `import_onnx`; the problems are those of the attempt that got further.
    """
    best = best_attempt(source, dims or {}, input_shapes or {}, hosts)
    expect_none(best.problems, best.model)
    assert best.graph is not None  # there were no problems
    return Imported(best.graph, best.notes, tuple(best.importer.hosted))


def best_attempt(
    source: str | Path | bytes | ModelProto,
    dims: Mapping[str, int],
    input_shapes: Mapping[str, tuple[int, ...]],
    hosts: Mapping[str, str] | None = None,
    sketched: bool = False,
) -> Attempt:
    """The import that `import_for_compilation` takes, whether or not it has problems.

    With `sketched` the weights of large models are not read (see `load`).
    """
    model = load(source, sketched)
    proto, dynamic = static_products(model.proto)
    proto, converted = single_precision(proto)
    found = _best(replace(model, proto=proto), dims, input_shapes, hosts)
    return replace(found, notes=(*found.notes, *map(_calibrated, dynamic), *converted))


def _calibrated(product: str) -> str:
    return f"{product}: its input is quantized dynamically in the model; here it is calibrated"


def _best(
    model: Model,
    dims: Mapping[str, int],
    input_shapes: Mapping[str, tuple[int, ...]],
    hosts: Mapping[str, str] | None,
) -> Attempt:
    plain = None if hosts else _without_hosts(model, dims, input_shapes)
    if plain is not None and (hosts is None or plain.graph is not None or plain.is_bad_input):
        return plain
    forms = [attempt(model, dims, input_shapes, True, hosts=hosts or {})]
    with suppress(LimitError):
        forms.append(attempt(model, dims, input_shapes, False, compiled=True, hosts=hosts or {}))
    done = [form for form in forms if form.graph is not None]
    if not done:
        return max(forms, key=lambda form: form.reached)
    # The fewer nodes on the host the better; of equal forms the batched one, which comes first.
    return min(done, key=lambda form: len(form.importer.hosted))


def _without_hosts(
    model: Model, dims: Mapping[str, int], input_shapes: Mapping[str, tuple[int, ...]]
) -> Attempt:
    first = attempt(model, dims, input_shapes, batched=True)
    if first.graph is not None:
        return first
    try:
        second = attempt(model, dims, input_shapes, batched=False, compiled=True)
    except LimitError:
        return first
    if second.reached <= first.reached:
        return first
    return replace(second, notes=(_note(first),))


def attempt(
    model: Model,
    dims: Mapping[str, int],
    input_shapes: Mapping[str, tuple[int, ...]],
    batched: bool,
    compiled: bool = False,
    hosts: Mapping[str, str] | None = None,
) -> Attempt:
    """Import in one form; raises where not even the order of the nodes is known."""
    if not batched:
        proto = inline_functions(model.proto, model.opset)
        model = model if proto is model.proto else replace(model, proto=proto, raws={})
    graph = model.proto.graph
    nodes, wrong = order_nodes(graph, model.opset)
    expect_none(wrong, model)
    if batched:
        inputs = bind_inputs(graph, dims, input_shapes)
    else:
        inputs = bind_whole_inputs(graph, dims, input_shapes, 1 if compiled else None)
    tensors = TensorReader(
        ExternalData(model.path),
        single=batched or compiled,
        sketched=model.sketched,
        raws=model.raws,
    )
    found = list(inputs.problems)
    hosting = None if hosts is None else Hosting(model.proto, hosts)
    importer = Importer(graph, model.opset, tensors, inputs, found, batched, compiled, hosting)
    made = importer.run(nodes)
    if made is not None:
        expect_live(made)
    return Attempt(model, tuple(nodes), importer, made, tuple(in_graph_order(found)))


def _note(batched: Attempt) -> str:
    """Why the model was imported whole."""
    cause = batched.problems[0]
    where = f"{cause.node}: " if cause.node and cause.index is not None else ""
    return (
        "the model is compiled whole, for one sample, and first axes without a size have extent 1; "
        f"with a batch axis it cannot be imported ({where}{cause.message})"
    )


def expect_none(problems: tuple[Diagnostic, ...] | list[Diagnostic], model: Model) -> None:
    """Bad input outranks what is unsupported: the model itself has to be mended first."""
    if any(problem.code < _UNSUPPORTED for problem in problems):
        raise InputError(problems, model.file)
    if problems:
        raise UnsupportedError(problems, model.file)
