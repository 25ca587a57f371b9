"""``imcc target``: the chips that programs are compiled for."""

from __future__ import annotations

from importlib import resources

import rich_click as click

from .options import debug_option, json_option
from .source import read_text
from .text import echo_json, facts, table


@click.group("target")
def command() -> None:
    """List, show and validate chip descriptions."""


@command.command("list")
@json_option
@debug_option
def list_targets(as_json: bool) -> None:
    """List the built-in targets."""
    from imcc.isa import builtin_targets, load_target

    targets = [load_target(name) for name in builtin_targets()]
    if as_json:
        echo_json("target-list", {"targets": [t.model_dump(mode="json") for t in targets]})
        return
    rows = [
        (
            t.name,
            t.chip.cores * t.core.arrays,
            f"{t.array.rows}x{t.array.cols}",
            t.array.cell_bits,
            t.adc.bits or "digital",
            t.description,
        )
        for t in targets
    ]
    click.echo(table(["target", "arrays", "size", "cell bits", "adc bits", "description"], rows))


@command.command("show")
@click.argument("target", metavar="NAME|FILE")
@json_option
@debug_option
def show(target: str, as_json: bool) -> None:
    """Print the description of a target: every number, and where it comes from."""
    from imcc.isa import builtin_targets, load_target

    loaded = load_target(target)
    if as_json:
        echo_json("target", {**loaded.model_dump(mode="json"), "fingerprint": loaded.fingerprint})
        return
    if target in builtin_targets():
        text = resources.files("imcc.isa").joinpath("targets", f"{target}.toml").read_text("utf-8")
    else:
        text = read_text(target)
    click.echo(text, nl=False)


@command.command("validate")
@click.argument("target", metavar="FILE")
@json_option
@debug_option
def validate(target: str, as_json: bool) -> None:
    """Check a target file; all problems are reported at once."""
    from imcc.isa import load_target

    loaded = load_target(target)
    pairs = (("target", loaded.name), ("fingerprint", loaded.fingerprint))
    if as_json:
        echo_json("target-validate", dict(pairs))
        return
    click.echo(facts(pairs))
