"""Options that several commands share, and readers of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

from .formats import Format
from .reporter import choose_format

_F = TypeVar("_F", bound=Callable[..., Any])


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta["imcc.debug"] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback of an error.",
)
diagnostics_option = click.option(
    "--diagnostics-format",
    type=click.Choice([name.value for name in Format]),
    default=Format.HUMAN.value,
    envvar="IMCC_DIAGNOSTICS",
    expose_value=False,
    callback=choose_format,
    help="How errors and notes are written: human, json (a line each), sarif, github.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of tables."
)
seed_option = click.option(
    "--seed", default=0, show_default=True, help="Seed of random calibration inputs."
)
calib_option = click.option(
    "--calib",
    metavar="FILE|random",
    help="Calibration data (.npz, .npy), or 'random'. Default: a .npz beside the model.",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Threads; the result does not depend on it.",
)


def _apply_limits(ctx: click.Context, _: click.Parameter, items: tuple[str, ...]) -> None:
    """Callback of ``--limit``: the limits hold as long as the command runs."""
    from ..limits import Limits, applied

    try:
        changed = Limits().changed(items)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--limit") from error
    ctx.with_resource(applied(changed))


limit_option = click.option(
    "--limit",
    multiple=True,
    expose_value=False,
    callback=_apply_limits,
    metavar="NAME=N",
    help="Change a limit against hostile files; `imcc doctor` lists them.",
)


def target_options(function: _F) -> _F:
    """Add ``--target`` and ``--set``."""
    function = click.option(
        "--set",
        "set_",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a number of the target, such as core.arrays=64.",
    )(function)
    return click.option(
        "--target", required=True, metavar="NAME|FILE", help="The chip; see `imcc target list`."
    )(function)


def model_options(function: _F) -> _F:
    """Add what decides how a model is read and quantized."""
    for option in reversed(_MODEL_OPTIONS):
        function = option(function)
    return function


_BITS = click.IntRange(2, 8)
_MODEL_OPTIONS = (
    click.option("--weight-bits", type=_BITS, default=8, metavar="N", help="2..8; 8 by default."),
    click.option(
        "--activation-bits", type=_BITS, default=8, metavar="N", help="2..8; 8 by default."
    ),
    click.option(
        "--adc",
        type=click.Choice(["lossless", "saturating", "covering"]),
        default="lossless",
        show_default=True,
        help="How ADC ranges are chosen.",
    ),
    click.option(
        "--unfolding",
        type=click.Choice(["auto", "im2col"]),
        default="auto",
        show_default=True,
        help="Several windows of a convolution at once where that pays, or always one.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["latency", "throughput", "layer-by-layer"]),
        default="layer-by-layer",
        show_default=True,
        help="What the order of the work is good for.",
    ),
    click.option("--dim", multiple=True, metavar="NAME=N", help="Size of a symbolic dimension."),
    click.option("--input-shapes", multiple=True, metavar="NAME:N,N,..", help="Shape of an input."),
)


def ir_options(function: _F) -> _F:
    """Add the flags that watch a pass pipeline."""
    for option in reversed(_IR_OPTIONS):
        function = option(function)
    return function


_IR_OPTIONS = (
    click.option("--print-ir-after-all", is_flag=True, help="Print the graph after every pass."),
    click.option("--print-ir-after-change", is_flag=True, help="... after passes that change it."),
    click.option("--print-ir-before", multiple=True, metavar="PASS", help="... before PASS."),
    click.option("--print-ir-after", multiple=True, metavar="PASS", help="... after PASS."),
    click.option("--print-ir-tree-dir", metavar="DIR", help="Write the graphs to files in DIR."),
    click.option("--timing", is_flag=True, help="Print the time of each stage to standard error."),
    click.option(
        "--verify-each/--no-verify-each",
        default=True,
        show_default=True,
        help="Verify the graph after every pass.",
    ),
    click.option(
        "--crash-reproducer",
        metavar="FILE",
        help="Where to write the graph and pipeline when a pass fails.",
    ),
)


def read_dims(items: tuple[str, ...]) -> dict[str, int]:
    """``("batch=1", "n=3")`` as a mapping; raises click's usage error."""
    dims = {}
    for item in items:
        name, _, value = item.rpartition("=")
        if not name or not _is_size(value):
            raise click.BadParameter(
                f"'{item}' is not NAME=N with a positive N, such as batch=1", param_hint="--dim"
            )
        dims[name] = int(value)
    return dims


def read_shapes(items: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """``("x:[1,3,32,32]",)`` as a mapping; raises click's usage error."""
    shapes = {}
    for item in items:
        name, _, text = item.rpartition(":")
        sizes = text.strip().removeprefix("[").removesuffix("]").split(",")
        if not name or not all(_is_size(size.strip()) for size in sizes):
            raise click.BadParameter(
                f"'{item}' is not NAME:[N,N,...], such as x:[1,3,32,32]",
                param_hint="--input-shapes",
            )
        shapes[name] = tuple(int(size) for size in sizes)
    return shapes


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20 and int(text) > 0
