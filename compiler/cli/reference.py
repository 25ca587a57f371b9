"""The sections of ``docs/reference/cli.md``, from the commands themselves."""

from __future__ import annotations

from importlib import import_module

import click

from .diagnostics import all_codes
from .main import COMMANDS


def command_sections() -> list[str]:
    """One section a command, then the error codes."""
    sections = []
    for name in COMMANDS:
        command: click.Command = import_module(f"{__package__}.{name}_command").command
        sections += _sections(f"imcc {name}", command)
    codes = "\n".join(f"| {c.name} | {c.exit_code} | {c.title} |" for c in all_codes())
    return [*sections, f"## Error codes\n\n| code | exit | meaning |\n| --- | --- | --- |\n{codes}"]


def _sections(path: str, command: click.Command) -> list[str]:
    arguments = " ".join(
        p.make_metavar(click.Context(command))
        for p in command.params
        if p.param_type_name == "argument"
    )
    lines = [f"## {path}", f"`{path} {arguments}`".replace(" `", "`"), command.help or ""]
    rows = [
        f"| `{', '.join((*p.opts, *p.secondary_opts))}` | {p.help or ''} |"
        for p in command.params
        if isinstance(p, click.Option)
    ]
    if rows:
        lines.append("\n".join(["| option | |", "| --- | --- |", *rows]))
    found = ["\n\n".join(lines)]
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            found += _sections(f"{path} {name}", child)
    return found
