"""``imcc compile``: from an ONNX model to a program, with a table of what each layer takes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .options import (
    calib_option,
    debug_option,
    diagnostics_option,
    ir_options,
    jobs_option,
    json_option,
    limit_option,
    model_options,
    read_dims,
    read_shapes,
    seed_option,
    target_options,
)
from .output import STDOUT, expect_writable, write_output
from .reporter import reporter
from .text import brief, echo_json, facts, shorten, table

if TYPE_CHECKING:
    from ..driver import Compilation
    from ..mapping.reload import Reload
    from ..options import CompileOptions
    from ..report import HostShare, Report

EMITS = ("imc", "imcasm", "qdq", "mlir")


@click.command("compile")
@click.argument("model", metavar="MODEL.onnx")
@target_options
@click.option("-o", "--output", metavar="OUT.imc", help="The program; MODEL.imc by default.")
@calib_option
@seed_option
@click.option(
    "-O",
    "level",
    type=click.IntRange(0, 3),
    default=2,
    metavar="N",
    help="-O0, -O1, -O2 (default), -O3 (slow).",
)
@click.option("--pass-pipeline", metavar="'P,P{..}'", help="These passes instead of those of -O.")
@click.option("--calibration-method", metavar="NAME", help="How ranges follow from samples.")
@model_options
@click.option("--emit", default="imc", show_default=True, help="imc,imcasm,qdq,mlir: any of them.")
@ir_options
@jobs_option
@json_option
@click.option("--strict", is_flag=True, help="Refuse nodes that would run on the host.")
@click.option("-q", "--quiet", is_flag=True, help="Print no table.")
@click.option("-v", "--verbose", is_flag=True, help="Print what the passes have to say.")
@limit_option
@diagnostics_option
@debug_option
def command(model: str, output: str | None, emit: str, **flags: Any) -> None:
    """Compile MODEL.onnx for a target and print what every layer takes on the chip."""
    from ..driver import compile_model
    from ..report import report
    from .bounds import bounds_json
    from .chip import load_chip
    from .observers import Progress, observers, threads, timing

    gc.disable()  # as in a compilation: what it has made stays until the end of this process
    kinds = _kinds(emit)
    path = Path(output) if output else Path(model).with_suffix(".imc")
    if output == STDOUT and flags["as_json"]:
        raise click.UsageError("--json and -o - would both write to standard output")
    expect_writable(path)
    with threads(flags["jobs"]), Progress() as progress, timing(flags["timing"]) as clocks:
        compilation = compile_model(
            model,
            load_chip(flags["target"], flags["set_"]),
            _options(flags),
            flags["calib"],
            (*observers(flags), *clocks, progress),
        )
    _write(compilation, path, kinds)
    gc.freeze()  # nor does the end of the process look for cycles
    if flags["quiet"] and not (flags["verbose"] or flags["as_json"]):
        return
    figures = report(compilation)
    for text in (*(figures.notes if flags["verbose"] else ()), *compilation.hints):
        reporter().note(text)
    if flags["as_json"]:
        echo_json("compile", {**asdict(figures), "bounds": bounds_json(figures.bounds)})
    elif not flags["quiet"]:
        # Where the program itself is the answer, the table must not be mixed into it.
        click.echo(render(figures), err=output == STDOUT)


def render(figures: Report) -> str:
    """The per-layer table and the totals."""
    rows = [
        (
            shorten(layer.layer),
            layer.weights,
            _unfolding(layer.windows),
            layer.arrays,
            f"{layer.utilization:.1%}",
            layer.row_blocks,
            layer.slices,
            layer.adc,
            layer.lossless,
            layer.cores,
        )
        for layer in figures.layers
    ]
    header = ["layer", "weights", "unfolding", "arrays", "used", "row blocks", "slices", "adc"]
    header += ["lossless", "cores"]
    totals: tuple[tuple[str, str | int], ...] = (
        ("target", figures.target),
        ("calibration", brief(figures.calibration)),
        ("arrays", f"{figures.arrays} of {figures.chip_arrays}"),
        ("cores", f"{figures.cores} of {figures.chip_cores}"),
        ("instructions", figures.instructions),
        ("constants", f"{figures.constant_bytes} bytes"),
        ("local memory", f"{figures.local_bytes} bytes in the fullest core"),
        *_phases(figures.phases),
        *_lags(figures.lags),
        *_spilled(figures.spilled_bytes),
        *_reload(figures.reload),
    )
    parts = [table(header, rows), *_host(figures.host), facts([*totals, *_bounds(figures)])]
    return "\n\n".join(parts)


def _unfolding(windows: tuple[int, ...]) -> str:
    """How a kernel lies on the cells: one window at a time, or several rows and columns of them."""
    if not windows:
        return "-"
    return "im2col" if prod(windows) == 1 else f"{'x'.join(map(str, windows))} windows"


def _bounds(figures: Report) -> list[tuple[str, str]]:
    """What no program is faster than."""
    from .bounds import bound_text

    if figures.bounds is None:
        return []
    return [
        ("latency bound", bound_text(figures.bounds.latency)),
        ("interval bound", bound_text(figures.bounds.interval)),
    ]


def _phases(count: int) -> Iterator[tuple[str, str]]:
    """That several inputs are on their way; nothing where one is."""
    if count > 1:
        yield (
            "phases",
            f"{count}, each for another input at a time: the global memory is quick enough to hand "
            "on what they make",
        )


def _lags(count: int) -> Iterator[tuple[str, str]]:
    """That cores work on several inputs at a time; nothing where on one."""
    if count:
        yield "inputs", f"overlap: a core works on up to {count + 1} at a time"


def _spilled(size: int) -> Iterator[tuple[str, str]]:
    """What waits in global memory; nothing where all stays in local memory."""
    if size:
        yield "global memory", f"{size} bytes of results wait there for later stages or operations"


def _reload(reload: Reload) -> Iterator[tuple[str, str]]:
    """What is written for every input; nothing where all weights fit the chip."""
    if reload.stages > 1:
        yield "stages", f"{reload.stages}, because the weights do not fit the chip together"
        yield (
            "each input writes",
            f"{reload.bytes} bytes to {reload.cells} cells, one of them up to "
            f"{reload.cell_writes} times: {reload.time_us:.4g} us if nothing goes on beside, "
            f"{reload.energy_uj:.4g} uJ",
        )


def _host(share: HostShare) -> Iterator[str]:
    """What the host computes; nothing where that is nothing."""
    if not share.nodes:
        return
    rows = [(shorten(row.node), row.op_type, shorten(row.why, 80)) for row in share.nodes]
    partitions = "1 partition" if share.partitions == 1 else f"{share.partitions} partitions"
    yield table(["on the host", "type", "why"], rows)
    yield (
        f"{partitions} of onnxruntime: {share.macs:.1%} of the multiply-accumulates, "
        f"{share.values:.1%} of the values"
    )


def _options(flags: dict[str, Any]) -> CompileOptions:
    from ..mapping import AdcPolicy, KernelUnfolding
    from ..options import CompileOptions
    from ..schedule import ScheduleMode

    return CompileOptions(
        level=flags["level"],
        pipeline=flags["pass_pipeline"],
        weight_bits=flags["weight_bits"],
        activation_bits=flags["activation_bits"],
        method=flags["calibration_method"],
        adc=AdcPolicy(flags["adc"]),
        schedule=ScheduleMode(flags["schedule"]),
        unfolding=KernelUnfolding(flags["unfolding"]),
        dims=read_dims(flags["dim"]),
        input_shapes=read_shapes(flags["input_shapes"]),
        seed=flags["seed"],
        verify_each=flags["verify_each"],
        strict=flags["strict"],
    )


def _kinds(emit: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in emit.split(","))
    unknown = [kind for kind in kinds if kind not in EMITS]
    if unknown:
        raise click.BadParameter(
            f"'{unknown[0]}' is not one of {', '.join(EMITS)}", param_hint="--emit"
        )
    return kinds


def _write(compilation: Compilation, path: Path, kinds: tuple[str, ...]) -> None:
    """Write what was asked for beside each other; all of it is made before any is written."""
    made = {kind: _WRITERS[kind](compilation) for kind in kinds}
    for kind, data in made.items():
        where = path if kind == "imc" else path.with_suffix(_SUFFIXES[kind])
        write_output(where, data)


def _imc(compilation: Compilation) -> bytes:
    from imcc.isa import program_bytes

    return program_bytes(compilation.program)


def _imcasm(compilation: Compilation) -> bytes:
    from imcc.isa import disassemble

    return disassemble(compilation.program).encode()


def _qdq(compilation: Compilation) -> bytes:
    from ..quantize import export_qdq

    data: bytes = export_qdq(compilation.quantized).SerializeToString(deterministic=True)
    return data


def _mlir(compilation: Compilation) -> bytes:
    from ..ir import print_graph

    return print_graph(compilation.tiled.graph).encode()


_WRITERS = {"imc": _imc, "imcasm": _imcasm, "qdq": _qdq, "mlir": _mlir}
_SUFFIXES = {"imcasm": ".imcasm", "qdq": ".qdq.onnx", "mlir": ".mlir"}
