"""``imcc run``: a program on the machine."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import rich_click as click

from .options import debug_option, diagnostics_option, jobs_option, json_option
from .output import expect_writable, write_output
from .text import Json, echo_json, table


@click.command("run")
@click.argument("program", metavar="PROG.imc")
@click.option("--input", "input_", required=True, metavar="X.npz|X.npy", help="The samples.")
@click.option("-o", "--output", metavar="Y.npz", help="Where the outputs go.")
@click.option("--codes", is_flag=True, help="Write integer codes instead of real values.")
@click.option("--samples", type=click.IntRange(1), help="Run only the first N samples.")
@click.option(
    "--profile", "profiled", is_flag=True, help="Print time and energy, as `imcc profile` does."
)
@jobs_option
@json_option
@diagnostics_option
@debug_option
def command(
    program: str,
    input_: str,
    output: str | None,
    codes: bool,
    samples: int | None,
    profiled: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Run PROG.imc on samples, bit for bit as the chip would."""
    from imcc.isa import load_program, validate
    from imcc.runtime import profile

    from ..mapping.bound_notes import read_bounds
    from ..verify.machine import load_program_samples, run_all
    from .observers import threads
    from .profile import profile_json, render_profile

    if output is not None:
        expect_writable(output)
    loaded = load_program(program)
    validate(loaded)
    data = load_program_samples(Path(input_), loaded)
    data = data if samples is None else data.first(samples)
    with threads(jobs):
        results = run_all(loaded, data, codes, jobs)
    if output is not None:
        write_output(output, _npz(results))
    shapes = {name: list(array.shape) for name, array in results.items()}
    body: dict[str, Json] = {"samples": data.count, "outputs": shapes}
    costs = profile(loaded) if profiled else None
    if as_json:
        if costs is not None:
            body["profile"] = profile_json(costs, read_bounds(loaded))
        echo_json("run", body)
        return
    rows = [(name, str(array.dtype), str(shapes[name])) for name, array in results.items()]
    click.echo(table(["output", "type", "shape"], rows))
    if costs is not None:
        click.echo(f"\n{render_profile(costs, read_bounds(loaded))}")


def _npz(arrays: dict[str, Any]) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()
