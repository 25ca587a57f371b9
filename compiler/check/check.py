"""The check of a model against a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from imcc.isa import Target

from ..diagnostics import Diagnostic, Severity, in_graph_order
from ..errors import UnsupportedError
from ..mapping import TiledGraph, summary
from ..options import CompileOptions
from .operators import Operator, place_operators
from .stages import Stages, arrays_used, cores_used, run_stages
from .trace import Trace, trace_import


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
    """The answer. `problems` are errors first, then warnings, each in the order of the graph."""

    file: str
    target: str
    operators: tuple[Operator, ...]
    needs: tuple[Need, ...]
    problems: tuple[Diagnostic, ...]
    notes: tuple[str, ...]

    def passed(self, strict: bool = False) -> bool:
        """Whether the model can be compiled; with `strict` also whether nothing is warned of."""
        return not any(strict or p.severity is Severity.ERROR for p in self.problems)


def check_model(
    model: str | Path | bytes | ModelProto, target: Target, options: CompileOptions | None = None
) -> Check:
    """Import, legalise and place a model without calibration data (see `stages`).

    Raises `InputError` for what is no valid model and `LimitError` for what is too large.
    """
    options = options or CompileOptions()
    try:
        trace = trace_import(model, options.dims, options.input_shapes)
    except UnsupportedError as error:
        return Check(error.file, target.name, (), (), error.diagnostics, ())
    stages = run_stages(trace.graph, target, options, not trace.problems)
    rejected = _rejections(trace, stages)
    operators = place_operators(trace, stages, [*trace.problems, *rejected])
    errors = in_graph_order([*trace.problems, *rejected, *stages.problems])
    warnings = _inexact(stages.tiled) if stages.tiled else ()
    needs = tuple(_needs(stages, target))
    return Check(trace.file, target.name, operators, needs, (*errors, *warnings), stages.notes)


def _rejections(trace: Trace, stages: Stages) -> list[Diagnostic]:
    """Nodes that can be imported but not quantized."""
    nodes = {node.label: node for node in reversed(trace.nodes)}
    found = []
    for node, reason in stages.rejected:
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
