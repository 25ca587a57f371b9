"""``imcc check``: whether a model can be compiled, where its operators run, what it takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from .options import (
    debug_option,
    diagnostics_option,
    json_option,
    limit_option,
    model_options,
    read_dims,
    read_shapes,
    target_options,
)
from .reporter import reporter
from .text import Json, echo_json, facts, shorten, table

if TYPE_CHECKING:
    from ..check import Check, Need


@click.command("check")
@click.argument("model", metavar="MODEL.onnx")
@target_options
@model_options
@click.option("--strict", is_flag=True, help="Warnings are a no, too: host nodes, lossy ADCs.")
@click.option("--read-weights", is_flag=True, help="Read all weights, those of large models too.")
@json_option
@limit_option
@diagnostics_option
@debug_option
def command(model: str, strict: bool, read_weights: bool, as_json: bool, **flags: Any) -> None:
    """Say where every operator of MODEL.onnx runs, and whether the network fits the target.

    Nothing is written and no calibration data is needed: activation ranges, on which no size
    depends, are assumed. Exit code 0: it can be compiled. Exit code 1: it cannot.
    """
    from ..check import check_model
    from ..mapping import AdcPolicy, KernelUnfolding
    from ..options import CompileOptions
    from ..schedule import ScheduleMode
    from .chip import load_chip

    options = CompileOptions(
        weight_bits=flags["weight_bits"],
        activation_bits=flags["activation_bits"],
        adc=AdcPolicy(flags["adc"]),
        schedule=ScheduleMode(flags["schedule"]),
        unfolding=KernelUnfolding(flags["unfolding"]),
        dims=read_dims(flags["dim"]),
        input_shapes=read_shapes(flags["input_shapes"]),
    )
    chip = load_chip(flags["target"], flags["set_"])
    found = check_model(model, chip, options, read_weights)
    passed = found.passed(strict)
    if as_json:
        echo_json("check", check_json(found, passed))
    else:
        click.echo(render(found, passed))
    reporter().problems(found.problems, found.file)
    if not passed:
        raise Exit(1)


def check_json(found: Check, passed: bool) -> dict[str, Json]:
    """The answer as plain values."""
    body: dict[str, Json] = asdict(found)
    needs = [{**asdict(need), "short": need.short} for need in found.needs]
    return {**body, "needs": needs, "passed": passed}


def render(found: Check, passed: bool) -> str:
    """A row an operator, then the totals."""
    from ..check import Where

    rows = [
        (shorten(o.node), o.op_type, o.where, o.arrays, shorten(o.why, 80)) for o in found.operators
    ]
    counts = Counter(str(operator.where) for operator in found.operators)
    missing = Counter(o.op_type for o in found.operators if o.where is Where.UNSUPPORTED)
    totals = [
        ("target", found.target),
        ("operators", ", ".join(f"{count} {where}" for where, count in counts.items())),
        *((need.what, _need(need, found.target)) for need in found.needs),
    ]
    if found.unread:
        text = f"{found.unread} large ones were not read, typical ones stand for them"
        totals.append(("weights", f"{text}: --read-weights takes the real ones"))
    if missing:
        listed = ", ".join(f"{count} {op_type}" for op_type, count in missing.items())
        totals.append(("not supported", f"{listed}; arrays and cores are those of the rest"))
    answer = "can be compiled" if passed else "can NOT be compiled as asked"
    header = ["operator", "type", "where", "arrays", "why"]
    parts = [table(header, rows), facts(totals)] if rows else []
    return "\n\n".join([*parts, answer])


def _need(need: Need, target: str) -> str:
    if need.needed is None:
        return f"not known; target '{target}' has {need.available:,}"
    short = f": {need.short:,} short" if need.short else ""
    return f"needs {need.needed:,}, target '{target}' has {need.available:,}{short}"
