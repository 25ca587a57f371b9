"""The compiler from end to end: import, passes, tiling, schedule, emission, validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from imcc.isa import Program, Target, load_target, validate

from .backend import ValueProbe, emit_with_probes
from .data import Samples, calibration
from .frontend import import_onnx
from .ir import Array, Graph
from .mapping import AdcPolicy, TiledGraph, TileOptions, tile
from .options import CompileOptions, Facts, read_facts, write_facts
from .passes import Instrument, PassContext, Pipeline, stage
from .quantize.state import holds_codes
from .schedule import Schedule, memory_check, schedule

Model = str | Path | bytes | ModelProto
UNCALIBRATED = "none: the model is quantized"
CalibrationChoice = str | Path | Array | Mapping[str, Array] | None


@dataclass(frozen=True, eq=False)
class Compilation:
    """Every stage of one compilation. `notes` is what the user should know about it."""

    options: CompileOptions
    imported: Graph
    quantized: Graph
    tiled: TiledGraph
    schedule: Schedule
    program: Program
    probes: tuple[ValueProbe, ...]
    notes: tuple[str, ...]


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
) -> Program:
    """Compile an ONNX model for a target.

    `calibration` is an array of samples, a mapping from input names to arrays, a ``.npz`` or
    ``.npy`` file, or ``"random"``; without it, a data file is looked for beside the model.
    Raises `CompileError` or `imcc.isa.IsaError`.
    """
    options = CompileOptions(level, pipeline, weight_bits, activation_bits, adc=AdcPolicy(adc))
    return compile_model(model, target, options, calibration).program


def compile_model(
    model: Model,
    target: str | Path | Target,
    options: CompileOptions | None = None,
    calibration_choice: CalibrationChoice = None,
    instruments: Iterable[Instrument] = (),
) -> Compilation:
    """Compile and keep every stage, for verification and research."""
    options = options or CompileOptions()
    chip = target if isinstance(target, Target) else load_target(target)
    pipeline = Pipeline(
        Pipeline.parse(options.passes()).passes, tuple(instruments), options.verify_each
    )
    with stage("import", pipeline.instruments):
        imported = import_onnx(model, dims=options.dims, input_shapes=options.input_shapes)
    with stage("data", pipeline.instruments):
        samples = _calibration(calibration_choice, imported, model, options.seed)
    context = PassContext(chip, samples.batches if samples else None)
    quantized = pipeline.run(imported, context)
    source = samples.source if samples else UNCALIBRATED
    facts = Facts(source, options, dict(context.activations), *identify(model))
    notes = tuple(dict.fromkeys(context.notes))
    compilation = lower(imported, quantized, chip, facts, notes, pipeline.instruments)
    with stage("validate", pipeline.instruments):
        validate(compilation.program)
    return compilation


def _calibration(
    choice: CalibrationChoice, graph: Graph, model: Model, seed: int
) -> Samples | None:
    """Calibration samples; a model that is quantized needs none."""
    if choice is None and holds_codes(graph):
        return None
    return calibration(choice, graph.inputs, model_path(model), seed)


def recompile(program: Program, model: Model) -> Compilation:
    """Compile a model again with the options and calibrated parameters noted in a program.

    Raises `InputError` where the program does not say how it was made.
    """
    facts = read_facts(program)
    options = facts.options
    imported = import_onnx(model, dims=options.dims, input_shapes=options.input_shapes)
    context = PassContext(program.target, activations=dict(facts.activations))
    quantized = Pipeline.parse(options.passes()).run(imported, context)
    return lower(imported, quantized, program.target, facts, ())


def lower(
    imported: Graph,
    quantized: Graph,
    target: Target,
    facts: Facts,
    notes: tuple[str, ...],
    instruments: Iterable[Instrument] = (),
) -> Compilation:
    """Tile, schedule and emit a quantized graph."""
    options = facts.options
    watching = tuple(instruments)
    with stage("tile", watching):
        tiled = tile(quantized, target, TileOptions(options.adc), memory_check(quantized, target))
    with stage("schedule", watching):
        plan = schedule(tiled)
    with stage("emit", watching):
        program, probes = emit_with_probes(plan, write_facts(facts))
    return Compilation(options, imported, quantized, tiled, plan, program, probes, notes)


def model_path(model: Model) -> Path | None:
    """The file of a model given by path."""
    return Path(model) if isinstance(model, (str, Path)) else None


def identify(model: Model) -> tuple[str, str]:
    """File name and SHA-256 of a model."""
    if isinstance(model, (str, Path)):
        return Path(model).name, hashlib.sha256(Path(model).read_bytes()).hexdigest()
    data = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    return "", hashlib.sha256(data).hexdigest()
