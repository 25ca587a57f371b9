"""``imcc profile``: time and energy of a program, without data."""

from __future__ import annotations

import rich_click as click

from .options import debug_option, diagnostics_option, json_option
from .output import write_output
from .text import echo_json


@click.command("profile")
@click.argument("program", metavar="PROG.imc")
@click.option(
    "--inputs",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Inputs in a row; 5 by default. The interval is the time between the last two that others "
    "follow.",
)
@click.option("--csv", "csv_", metavar="FILE", help="Write the layers as CSV.")
@click.option("--trace", metavar="FILE.json", help="Write what each resource does, for Perfetto.")
@json_option
@diagnostics_option
@debug_option
def command(
    program: str, inputs: int | None, csv_: str | None, trace: str | None, as_json: bool
) -> None:
    """Simulate the time, energy and use of resources of PROG.imc, without data."""
    from imcc.isa import load_program, validate
    from imcc.runtime import profile, timeline
    from imcc.runtime.timing import DEFAULT_INPUTS

    from ..mapping.bound_notes import read_bounds
    from .profile import layers_csv, profile_json, render_profile

    loaded = load_program(program)
    validate(loaded)
    bounds = read_bounds(loaded)
    count = inputs or DEFAULT_INPUTS
    if trace is None:
        costs = profile(loaded, count)
    else:
        from .trace import trace_json

        line = timeline(loaded, count)
        costs = line.profile
        text = trace_json(line, loaded.target.timing.clock_mhz)
        write_output(trace, text.encode("ascii"))
    if csv_ is not None:
        write_output(csv_, layers_csv(costs).encode("utf-8"))
    if as_json:
        echo_json("profile", profile_json(costs, bounds))
        return
    click.echo(render_profile(costs, bounds))
