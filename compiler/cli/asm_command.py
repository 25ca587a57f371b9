"""``imcc asm``: assembly text to a program."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from .options import debug_option, diagnostics_option, limit_option
from .output import write_output
from .source import assemble_file


@click.command("asm")
@click.argument("file", metavar="FILE.imcasm")
@click.option("-o", "--output", help="The program; FILE.imc by default, - for standard output.")
@limit_option
@diagnostics_option
@debug_option
def command(file: str, output: str | None) -> None:
    """Assemble FILE (- for standard input) and validate the program."""
    from imcc.isa import validate
    from imcc.isa.container import program_bytes

    program = assemble_file(file)
    validate(program)
    write_output(output or Path(file).with_suffix(".imc"), program_bytes(program))
