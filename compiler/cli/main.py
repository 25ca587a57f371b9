"""The ``imcc`` group: sub-commands imported on use, and the one place that maps errors to exits."""

from __future__ import annotations

import gc
import signal
import sys
from importlib import import_module
from types import FrameType

import rich_click as click
from click.exceptions import Exit, NoSuchCommand

from .reporter import reporter

COMMANDS = {
    "check": "Say where each operator of a model runs, and whether it fits.",
    "compile": "Compile an ONNX model to a program for a chip.",
    "verify": "Compare a program with its graphs and with ONNX Runtime, bit for bit.",
    "run": "Run a program on the machine.",
    "profile": "Simulate the time and energy of a program, without data.",
    "inspect": "Summarise a model, program, target or assembly file.",
    "disasm": "Print a program as assembly text.",
    "asm": "Assemble text to a program.",
    "opt": "Run a pass pipeline over a graph in text form.",
    "ops": "List the supported ONNX operators.",
    "target": "List, show and validate chip descriptions.",
    "explain": "Explain an error code.",
    "doctor": "List versions and limits, and check what imcc runs on.",
}


_COLLECTIONS = (50_000, 20, 50)  # new objects, collections of these, and of those that stay


class LazyGroup(click.RichGroup):
    """Imports a sub-command when it is invoked; listings use the summaries above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A stand-in that knows its name and summary."""
        if cmd_name not in COMMANDS:
            return None
        return click.RichCommand(name=cmd_name, help=COMMANDS[cmd_name])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The real command, imported now."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        module = import_module(f"{__package__}.{name}_command")
        return name, module.command, rest

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command; every error becomes one message and one exit code."""
        try:
            result = super().invoke(ctx)
            reporter().finish(0)
            return result
        except Exit as answer:
            reporter().finish(answer.exit_code)
            raise
        except (click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("interrupted; nothing was written", err=True)
            ctx.exit(130)
        # The boundary to the user: whatever is left must not end in a traceback.
        except Exception as error:
            if ctx.meta.get("imcc.debug"):
                raise
            exit_code = reporter().error(error)
            reporter().finish(exit_code)
            ctx.exit(exit_code)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from .versions import versions

    click.echo("\n".join(f"{name} {version}" for name, version in versions()))
    ctx.exit()


@click.group(
    "imcc",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the answer is no, 2 usage, 3 bad input, 4 unsupported, "
    "5 does not fit, 6 limit, 70 internal error, 130 interrupted.",
)
@click.rich_config({"options_table_column_types": ["required", "opt_all_metavar", "help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the versions of imcc, its formats and its libraries.",
)
def cli() -> None:
    """Compile ONNX networks to in-memory-computing programs, and prove them right."""


def _terminated(number: int, _: FrameType | None) -> None:
    """End as after an interrupt: temporary files are removed on the way out."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminated)
    # Graphs and programs are very many objects and next to no cycles. To look for these each time
    # 700 more are there takes a sixth of the time of a compilation.
    gc.set_threshold(*_COLLECTIONS)
    sys.exit(cli.main(prog_name="imcc"))
