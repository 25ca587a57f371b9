"""The check of a model against a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from imcc.isa import Target

from ..diagnostics import Diagnostic, Severity, in_graph_order
from ..errors import UnsupportedError
from ..hosting import with_hosts
from ..ir import Node
from ..ir.sketch import is_sketch
from ..mapping import TiledGraph, summary
from ..options import CompileOptions
from .operators import Operator, place_operators
from .stages import Stages, arrays_used, cores_used, legalise, run_stages
from .trace import Trace, trace_import

_FORMS = "`imcc ops` says in which forms operators run on the chip"
_REMEDY = "leave out --strict, and the host computes it with onnxruntime"


@dataclass(frozen=True)
class Need:
    """What the network takes of something, and what the target has; None where it is unknown.

    Local memory is that of the fullest core. Where a model has operators that are not supported,
    arrays and cores are those of the rest.
    """

    what: str
    needed: int | None
    available: int

    @property
    def short(self) -> int:
        """How much is missing; 0 if it fits or nothing is known."""
        return 0 if self.needed is None else max(0, self.needed - self.available)


@dataclass(frozen=True)
class Check:
    """The answer. `problems` are errors first, then warnings, each in the order of the graph.

    `unread` counts large weights for which typical ones stood: arrays are estimated then, and so is
    whether converters lose something.
    """

    file: str
    target: str
    operators: tuple[Operator, ...]
    needs: tuple[Need, ...]
    problems: tuple[Diagnostic, ...]
    notes: tuple[str, ...]
    unread: int = 0

    def passed(self, strict: bool = False) -> bool:
        """Whether the model can be compiled; with `strict` also whether nothing is warned of."""
        return not any(strict or p.severity is Severity.ERROR for p in self.problems)


def check_model(
    model: str | Path | bytes | ModelProto,
    target: Target,
    options: CompileOptions | None = None,
    read_weights: bool = False,
) -> Check:
    """Import, legalise and place a model without calibration data (see `stages`).

    Weights of large files are not read unless `read_weights` says so: typical ones stand for them.
    Raises `InputError` for what is no valid model and `LimitError` for what is too large.
    """
    options = options or CompileOptions()
    try:
        trace, stages = _traced(model, target, options, not read_weights)
    except UnsupportedError as error:
        file = str(model) if isinstance(model, (str, Path)) else error.file
        return Check(file, target.name, (), (), error.diagnostics, ())
    rejected = _rejections(trace, stages.rejected)
    operators = place_operators(trace, stages, [*trace.problems, *rejected])
    errors = in_graph_order([*trace.problems, *rejected, *stages.problems])
    warnings = [*_hosted(trace), *(_warnings(stages.tiled) if stages.tiled else ())]
    needs = tuple(_needs(stages, target))
    notes = (*trace.notes, *stages.notes)
    unread = sum(map(is_sketch, trace.graph.constants.values()))
    return Check(trace.file, target.name, operators, needs, (*errors, *warnings), notes, unread)


def expect_no_hosts(
    model: str | Path | bytes | ModelProto, target: Target, options: CompileOptions
) -> None:
    """Raise `UnsupportedError` naming every node that the machine does not compute."""

    def import_(hosts: Mapping[str, str]) -> Trace:
        return trace_import(model, options.dims, options.input_shapes, hosts)

    trace, legal = with_hosts(
        import_, lambda trace, hosts: legalise(trace.graph, target, options, hosts)
    )
    hosted = [
        replace(found, severity=Severity.ERROR, help=(*found.help, _REMEDY))
        for found in trace.hosted
    ]
    problems = [*trace.problems, *hosted, *_rejections(trace, legal.rejected)]
    if problems:
        raise UnsupportedError(problems, trace.file)


def _traced(
    model: str | Path | bytes | ModelProto, target: Target, options: CompileOptions, sketched: bool
) -> tuple[Trace, Stages]:
    """The import and the stages, with those nodes on the host that must be and can be there."""
    return with_hosts(
        lambda hosts: trace_import(model, options.dims, options.input_shapes, hosts, sketched),
        lambda trace, hosts: run_stages(trace.graph, target, options, not trace.problems, hosts),
    )


def _hosted(trace: Trace) -> Iterator[Diagnostic]:
    for found in trace.hosted:
        text = f"operator {found.op_type} runs on the host"
        yield replace(found, code="IMC0502", message=text, help=(*found.help, _FORMS))


def _rejections(trace: Trace, rejected: Sequence[tuple[Node, str]]) -> list[Diagnostic]:
    """Nodes that can be imported but not quantized."""
    nodes = {node.label: node for node in reversed(trace.nodes)}
    found = []
    for node, reason in rejected:
        onnx = next((nodes[name] for name in node.origin if name in nodes), None)
        kind = onnx.op_type if onnx else type(node.op).__name__
        found.append(
            Diagnostic(
                "IMC0403",
                f"operator {kind} is not supported in this form",
                onnx.label if onnx else node.label,
                kind,
                onnx.index if onnx else None,
                onnx.opset if onnx else None,
                reason=f"{type(node.op).__name__}{reason}",
            )
        )
    return found


def _warnings(tiled: TiledGraph) -> Iterator[Diagnostic]:
    yield from _inexact(tiled)
    if tiled.stage_count > 1:
        yield Diagnostic(
            "IMC0503",
            f"the network runs in {tiled.stage_count} stages on target '{tiled.target.name}'",
            reason="it has more weights than the chip has cells: they are written for each input",
            help=("a larger chip, or fewer weight bits: --weight-bits",),
            severity=Severity.WARNING,
        )


def _inexact(tiled: TiledGraph) -> Iterator[Diagnostic]:
    for layer in summary(tiled):
        if not layer.lossless:
            steps = "/".join(map(str, sorted(set(layer.adc_steps))))
            yield Diagnostic(
                "IMC0501",
                f"{layer.label}: the converters lose something",
                layer.label,
                reason=f"{layer.adc_bits} bits with a step of {steps} do not hold every column sum",
                help=("a target with wider ADCs, or cells of fewer bits (--set adc.bits=...)",),
                severity=Severity.WARNING,
            )


def _needs(stages: Stages, target: Target) -> Iterator[Need]:
    tiled = stages.tiled
    arrays = None if tiled is None else arrays_used(tiled)
    yield Need("arrays", arrays, target.chip.cores * target.core.arrays)
    yield Need("cores", None if tiled is None else cores_used(tiled), target.chip.cores)
    yield Need("local memory bytes", stages.peak, target.core.local_memory_bytes)
