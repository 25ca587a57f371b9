"""The compiler from end to end: import, passes, tiling, schedule, emission, validation."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from imcc.isa import Program, Target, load_target, validate

from .apart import apart, hints, may_go_apart
from .backend import Aim, ValueProbe, emit_with_probes, order_instructions, played_cycles
from .check import expect_no_hosts
from .data import Samples, calibration
from .diagnostics import Diagnostic
from .frontend import Imported, import_for_compilation
from .hosting import with_hosts
from .index_limits import index_limits
from .ir import Array, Graph
from .ir.batch import batched_inputs
from .mapping import AdcPolicy, KernelUnfolding, TiledGraph, TileOptions
from .mapping.bound_notes import ScheduleBounds, with_bounds
from .options import CompileOptions, Facts, read_facts, write_facts
from .passes import Instrument, PassContext, Pipeline, stage
from .quantize.state import holds_codes
from .schedule import Schedule, ScheduleMode, map_for, on_mesh, schedule_bounds
from .schedule import schedule as make_schedule
from .work import operations

Model = str | Path | bytes | ModelProto
UNCALIBRATED = "none: the model is quantized"
_SOONER = 0.97  # what a play tells apart
_AIMS = {
    ScheduleMode.LATENCY: Aim.ONE_INPUT,
    ScheduleMode.THROUGHPUT: Aim.INPUTS_IN_A_ROW,
}
CalibrationChoice = str | Path | Array | Mapping[str, Array] | None


@dataclass(frozen=True, eq=False)
class Compilation:
    """Every stage of one compilation.

    `notes` is what the user should know about it, `hosted` the nodes on the host and why.
    `bounds` is there where rows stream, and `hints` say what other options could make better.
    """

    options: CompileOptions
    imported: Graph
    quantized: Graph
    tiled: TiledGraph
    schedule: Schedule
    program: Program
    probes: tuple[ValueProbe, ...]
    notes: tuple[str, ...]
    hosted: tuple[Diagnostic, ...] = ()
    bounds: ScheduleBounds | None = None
    hints: tuple[str, ...] = ()


def compile(
    model: Model,
    target: str | Path | Target,
    *,
    calibration: CalibrationChoice = None,
    weight_bits: int = 8,
    activation_bits: int = 8,
    level: int = 2,
    pipeline: str | None = None,
    adc: AdcPolicy | str = AdcPolicy.LOSSLESS,
    schedule: ScheduleMode | str = ScheduleMode.LAYERS,
) -> Program:
    """Compile an ONNX model for a target.

    `calibration` is an array of samples, a mapping from input names to arrays, a ``.npz`` or
    ``.npy`` file, or ``"random"``; without it, a data file is looked for beside the model.
    Raises `CompileError` or `imcc.isa.IsaError`.
    """
    options = CompileOptions(
        level,
        pipeline,
        weight_bits,
        activation_bits,
        adc=AdcPolicy(adc),
        schedule=ScheduleMode(schedule),
    )
    return compile_model(model, target, options, calibration).program


def compile_model(
    model: Model,
    target: str | Path | Target,
    options: CompileOptions | None = None,
    calibration_choice: CalibrationChoice = None,
    instruments: Iterable[Instrument] = (),
) -> Compilation:
    """Compile and keep every stage, for verification and research."""
    with _uncollected():
        return _compile_model(model, target, options, calibration_choice, instruments)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles: graphs and programs are millions of objects and next to no cycles.

    To look for these takes a fifth of the time of a large compilation.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _compile_model(
    model: Model,
    target: str | Path | Target,
    options: CompileOptions | None,
    calibration_choice: CalibrationChoice,
    instruments: Iterable[Instrument],
) -> Compilation:
    options = options or CompileOptions()
    chip = target if isinstance(target, Target) else load_target(target)
    pipeline = Pipeline(
        Pipeline.parse(options.passes()).passes, tuple(instruments), options.verify_each
    )
    if options.strict:
        expect_no_hosts(model, chip, options)

    def run(imported: Imported, _: Mapping[str, str]) -> tuple[_Calibration, PassContext, Graph]:
        with stage("data", pipeline.instruments):
            samples = _calibration(calibration_choice, imported.graph, model, options.seed)
        context = PassContext(chip, samples.batches)
        return samples, context, pipeline.run(imported.graph, context)

    found, (samples, context, quantized) = with_hosts(
        lambda hosts: _import(model, options, hosts, pipeline.instruments), run
    )
    imported = found.graph
    limits = index_limits(imported)
    facts = Facts(samples.source, options, dict(context.activations), *identify(model), limits)
    notes = tuple(dict.fromkeys((*found.notes, *context.notes)))
    compilation = lower(imported, quantized, chip, facts, notes, pipeline.instruments)
    with stage("validate", pipeline.instruments):
        validate(compilation.program)
    return replace(compilation, hosted=found.hosted)


class _Calibration:
    """Calibration samples; those of a model with codes are looked for when they are needed."""

    def __init__(self, find: Callable[[], Samples]) -> None:
        self._find = find
        self._found: Samples | None = None

    def find(self) -> Samples:
        """The samples; raises `InputError` where there are none."""
        self._found = self._found or self._find()
        return self._found

    def batches(self) -> Iterable[Mapping[str, Array]]:
        """A walk over them."""
        return self.find().batches()

    @property
    def source(self) -> str:
        """Where they came from."""
        return self._found.source if self._found else UNCALIBRATED


def _calibration(choice: CalibrationChoice, graph: Graph, model: Model, seed: int) -> _Calibration:
    inputs = batched_inputs(graph.inputs, graph.batched)
    limits, work = index_limits(graph), operations(graph)
    path = model_path(model)
    samples = _Calibration(lambda: calibration(choice, inputs, path, seed, limits, work))
    if choice is not None or not holds_codes(graph):
        samples.find()
    return samples


def _import(
    model: Model,
    options: CompileOptions,
    hosts: Mapping[str, str],
    instruments: Iterable[Instrument] = (),
) -> Imported:
    with stage("import", instruments):
        return import_for_compilation(model, options.dims, options.input_shapes, hosts)


def recompile(program: Program, model: Model) -> Compilation:
    """Compile a model again with the options and calibrated parameters noted in a program.

    Raises `InputError` where the program does not say how it was made.
    """
    facts = read_facts(program)
    options = facts.options
    pipeline = Pipeline.parse(options.passes())

    def run(imported: Imported, _: Mapping[str, str]) -> Graph:
        context = PassContext(program.target, activations=dict(facts.activations))
        return pipeline.run(imported.graph, context)

    found, quantized = with_hosts(lambda hosts: _import(model, options, hosts), run)
    return lower(found.graph, quantized, program.target, facts, ())


def lower(
    imported: Graph,
    quantized: Graph,
    target: Target,
    facts: Facts,
    notes: tuple[str, ...],
    instruments: Iterable[Instrument] = (),
) -> Compilation:
    """Tile, schedule and emit a quantized graph."""
    watching = tuple(instruments)
    emitted = _emitted(quantized, target, facts, facts.options.unfolding, watching)
    made = _apart(quantized, target, facts, emitted, watching)
    better: tuple[str, ...] = ()
    if made is None:
        made, better = (
            _ordered(emitted, facts, watching),
            hints(emitted.tiled, emitted.program, facts),
        )
    bounds = schedule_bounds(made.tiled, made.program)
    return Compilation(
        facts.options,
        imported,
        quantized,
        made.tiled,
        made.schedule,
        with_bounds(made.program, bounds),
        made.probes,
        notes,
        bounds=bounds,
        hints=better,
    )


@dataclass(frozen=True, eq=False)
class _Emitted:
    """A program before its instructions are ordered."""

    tiled: TiledGraph
    schedule: Schedule
    program: Program
    probes: tuple[ValueProbe, ...]


def _apart(
    quantized: Graph,
    target: Target,
    facts: Facts,
    emitted: _Emitted,
    watching: tuple[Instrument, ...],
) -> _Emitted | None:
    """A program with arrays for every product, where that is better."""
    if not may_go_apart(emitted.tiled, emitted.program, facts):
        return None
    with stage("apart", watching):
        made = apart(quantized, target, facts)
        if made is None or not made.is_better_than(emitted.tiled, emitted.program):
            return None
        return _Emitted(made.tiled, made.schedule, made.program, made.probes)


def _ordered(emitted: _Emitted, facts: Facts, watching: tuple[Instrument, ...]) -> _Emitted:
    """The program with its instructions in order, where rows stream."""
    if facts.options.schedule is ScheduleMode.LAYERS:
        return emitted
    with stage("order", watching):
        aim = _AIMS[facts.options.schedule]
        program, probes = order_instructions(emitted.program, emitted.probes, aim)
    return replace(emitted, program=program, probes=probes)


def _emitted(
    quantized: Graph,
    target: Target,
    facts: Facts,
    unfolding: KernelUnfolding,
    watching: tuple[Instrument, ...],
) -> _Emitted:
    """Tile, schedule and emit.

    Where rows stream, estimates of shares decide for parallel windows. Programs with and without
    them are played then, and those that are not clearly better for their aim go without.
    """
    options = facts.options
    with stage("tile", watching):
        tile_options = TileOptions(options.adc, unfolding=unfolding)
        tiled = map_for(quantized, target, tile_options, options.schedule)
    streamed = None
    if options.schedule is not ScheduleMode.LAYERS:
        with stage("place", watching):
            tiled, streamed = on_mesh(tiled)
    with stage("schedule", watching):
        plan = make_schedule(tiled, options.schedule, streamed)
    with stage("emit", watching):
        made = _Emitted(tiled, plan, *emit_with_probes(plan, write_facts(facts)))
    if streamed is None or not tiled.has_parallel_windows:
        return made
    single = _emitted(quantized, target, facts, KernelUnfolding.IM2COL, watching)
    with stage("compare", watching):
        aim = _AIMS[options.schedule]
        several, one = (played_cycles(other.program, aim) for other in (made, single))
        return made if several < _SOONER * one else single


def model_path(model: Model) -> Path | None:
    """The file of a model given by path."""
    return Path(model) if isinstance(model, (str, Path)) else None


def identify(model: Model) -> tuple[str, str]:
    """File name and SHA-256 of a model."""
    if isinstance(model, (str, Path)):
        with Path(model).open("rb") as file:
            return Path(model).name, hashlib.file_digest(file, "sha256").hexdigest()
    data = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    return "", hashlib.sha256(data).hexdigest()
