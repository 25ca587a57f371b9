"""``imcc opt``: a pass pipeline over a graph in text form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from .options import (
    calib_option,
    debug_option,
    diagnostics_option,
    ir_options,
    limit_option,
    seed_option,
)
from .output import STDOUT, write_output
from .reporter import Reporter, reporter


@click.command("opt")
@click.argument("file", metavar="FILE.mlir|MODEL.onnx", required=False)
@click.option("--pass-pipeline", metavar="'P,P{..}'", default="", help="The passes to run.")
@click.option("-o", "--output", default=STDOUT, help="Where to write; standard output by default.")
@click.option("--target", metavar="NAME|FILE", help="The chip, for passes that need one.")
@calib_option
@seed_option
@ir_options
@click.option("--run-reproducer", metavar="FILE", help="Run what --crash-reproducer wrote.")
@limit_option
@diagnostics_option
@debug_option
def command(file: str | None, output: str, run_reproducer: str | None, **flags: Any) -> None:
    """Run passes over FILE (a graph in text form, or an ONNX model) and print the graph."""
    from ..ir import print_graph
    from ..passes import Pipeline, stage
    from ..passes.reproducer import read_reproducer
    from .observers import observers, timing

    if (file is None) == (run_reproducer is None):
        raise click.UsageError("give either FILE or --run-reproducer FILE")
    with timing(flags["timing"]) as clocks:
        with stage("read", clocks):
            if run_reproducer is not None:
                pipeline, graph = read_reproducer(Path(run_reproducer))
            else:
                pipeline, graph = Pipeline.parse(flags["pass_pipeline"]), _read(str(file))
        context = _context(graph, file, flags)
        watched = Pipeline(pipeline.passes, (*observers(flags), *clocks), flags["verify_each"])
        result = watched.run(graph, context)
    for text in dict.fromkeys(context.notes):
        reporter().note(text)
    write_output(output, print_graph(result).encode())


def _read(file: str) -> Any:
    from ..frontend import import_for_compilation
    from ..ir import parse_graph, read_graph
    from .source import read_text

    if file.endswith(".onnx"):
        found = import_for_compilation(file)
        for note in found.notes:
            reporter().note(note)
        return found.graph
    return parse_graph(read_text(file), name=file) if file == STDOUT else read_graph(Path(file))


def _context(graph: Any, file: str | None, flags: dict[str, Any]) -> Any:
    from ..data import calibration, find_beside
    from ..index_limits import index_limits
    from ..ir.batch import batched_inputs
    from ..passes import PassContext
    from ..work import operations
    from .chip import load_chip

    chip = load_chip(flags["target"]) if flags["target"] else None
    path = Path(file) if file else None
    if flags["calib"] is None and (path is None or find_beside(path) is None):
        current = reporter()  # calibration runs in threads that know no command
        return PassContext(chip, lambda: _random(graph, flags["seed"], current))
    inputs = batched_inputs(graph.inputs, graph.batched)
    limits, work = index_limits(graph), operations(graph)
    found = calibration(flags["calib"], inputs, path, flags["seed"], limits, work)
    return PassContext(chip, found.batches)


def _random(graph: Any, seed: int, current: Reporter) -> Any:
    """Random samples, called only by a pass that calibrates."""
    from ..data import random_samples
    from ..index_limits import index_limits
    from ..ir.batch import batched_inputs
    from ..work import operations

    inputs, work = batched_inputs(graph.inputs, graph.batched), operations(graph)
    samples = random_samples(inputs, seed, indices=index_limits(graph), operations=work)
    current.note(
        f"calibration: {samples.source}; good for sizes, not for accuracy. "
        "Give real samples with --calib FILE.npz"
    )
    return samples.batches()
