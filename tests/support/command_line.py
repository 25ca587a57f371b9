"""The command line as a user runs it, in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from imcc.compiler.cli import cli

MODELS = Path(__file__).parents[2] / "models"


def imcc(*arguments: str | Path) -> Result:
    """Run ``imcc ARGUMENTS``."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])
