"""``imcc verify``: whether a program is right, and how good it is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from .options import debug_option, diagnostics_option, jobs_option, json_option, limit_option
from .reporter import reporter
from .text import brief, echo_json, facts, shorten, table

if TYPE_CHECKING:
    from ..data import Samples
    from ..verify import Comparison, Verification


@click.command("verify")
@click.argument("program", metavar="PROG.imc")
@click.option("--model", required=True, metavar="MODEL.onnx", help="What it was compiled from.")
@click.option("--data", metavar="FILE.npz", help="Samples (x) and labels (y). Default: beside it.")
@click.option("--samples", type=click.IntRange(1), default=100, show_default=True)
@click.option("--accuracy-samples", type=click.IntRange(0), help="Labelled samples; default all.")
@click.option("--seed", default=0, show_default=True, help="Of random samples, without data.")
@click.option("--layerwise", is_flag=True, help="Print every layer.")
@jobs_option
@json_option
@limit_option
@diagnostics_option
@debug_option
def command(
    program: str,
    model: str,
    data: str | None,
    samples: int,
    accuracy_samples: int | None,
    seed: int,
    layerwise: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Compare PROG.imc with the tiled graph, the quantized graph and ONNX Runtime.

    Exit code 0: all that must be equal is equal, bit for bit. Exit code 1: it is not.
    """
    from imcc.isa import load_program, validate

    from ..verify import verify_program
    from ..verify.machine import find_samples
    from .observers import threads

    loaded = load_program(program)
    validate(loaded)
    found = find_samples(loaded, Path(model), Path(data) if data else None, seed, samples)
    with threads(jobs):
        result = verify_program(
            loaded,
            Path(model),
            found.first(samples),
            layerwise,
            _labelled(found, accuracy_samples),
            jobs,
        )
    for text in result.notes:
        reporter().note(text)
    if as_json:
        echo_json("verify", {"passed": result.passed, "data": found.source, **asdict(result)})
    else:
        click.echo(render(result, found.source))
    if not result.passed:
        raise Exit(1)


def render(result: Verification, source: str) -> str:
    """Comparisons, layers, quality and the verdict."""
    parts = []
    if result.layers:
        rows = [
            (shorten(c.layer), c.op, c.elements, c.machine, c.tiled, c.sqnr) for c in result.layers
        ]
        header = ["layer", "operation", "elements", "machine!=tiled", "tiled!=quantized", "sqnr dB"]
        parts.append(table(header, rows))
    compared = [(c.what, c.elements, c.differences, _verdict(c)) for c in result.comparisons]
    parts.append(table(["compared", "elements", "differences", "verdict"], compared))
    quality = [
        ("samples", f"{result.samples} from {brief(source)}"),
        ("calibration", brief(result.calibration)),
        ("output sqnr", "exact" if result.sqnr is None else f"{result.sqnr:.1f} dB against float"),
    ]
    if result.accuracy is not None:
        a = result.accuracy
        quality.append(("accuracy", f"{a.machine:.2%} (float {a.float_:.2%}), {a.samples} samples"))
    parts.append(facts(quality))
    parts.append("verified" if result.passed else "NOT equal")
    return "\n\n".join(parts)


def _verdict(comparison: Comparison) -> str:
    if comparison.differences == 0:
        return "equal"
    where = f"first at {shorten(comparison.first)}"
    if comparison.largest:
        where = f"{where}, at most {comparison.largest} steps"
    return f"{comparison.reason}: {where}" if comparison.passed else f"DIFFERENT: {where}"


def _labelled(found: Samples, limit: int | None) -> Samples | None:
    if found.labels is None or limit == 0:
        return None
    return found if limit is None else found.first(limit)
