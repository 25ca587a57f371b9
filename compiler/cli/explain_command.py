"""``imcc explain``: what an error code means and what to do."""

from __future__ import annotations

import rich_click as click

from .diagnostics import all_codes, find_code


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain an error CODE such as IMC0102; without one, list all."""
    if code is None:
        click.echo("\n".join(f"{c.name}  exit {c.exit_code:<2}  {c.title}" for c in all_codes()))
        return
    found = find_code(code)
    if found is None:
        raise click.BadParameter(f"no error has the code '{code}'; `imcc explain` lists all")
    click.echo(f"{found.name}: {found.title} (exit code {found.exit_code})\n\n{found.explanation}")
