"""``imcc disasm``: a program as assembly text."""

from __future__ import annotations

import rich_click as click

from .options import debug_option, diagnostics_option
from .output import STDOUT, write_output


@click.command("disasm")
@click.argument("program", metavar="PROG.imc")
@click.option("-o", "--output", default=STDOUT, help="Where to write; standard output by default.")
@diagnostics_option
@debug_option
def command(program: str, output: str) -> None:
    """Print PROG.imc as text that `imcc asm` turns back into the same bytes."""
    from imcc.isa import disassemble, load_program

    write_output(output, disassemble(load_program(program)).encode())
