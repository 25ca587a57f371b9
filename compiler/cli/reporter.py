"""What a command says on standard error: diagnostics and notes, in the format that was chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from ..diagnostics import Diagnostic as Problem
from ..diagnostics import render
from .diagnostics import all_codes, describe, internal_hint, record_of
from .formats import Format, Record, Rule, to_github, to_json, to_sarif
from .text import sanitize

_KEY = "imcc.reporter"
_FILE_ARGUMENTS = ("program", "model", "file", "target")


@dataclass
class Reporter:
    """Writes diagnostics at once, or in SARIF one document at the end."""

    format: Format = Format.HUMAN
    context: click.Context | None = None
    _kept: list[Record] = field(default_factory=list)

    def error(self, error: Exception) -> int:
        """Report what ended a command; returns the exit code."""
        found = describe(error, self._file())
        if self.format is Format.HUMAN:
            click.echo(found.render(), err=True)
            if found.exit_code == 70:
                click.echo(internal_hint(), err=True)
        self._write(found.records(self._file()))
        return found.exit_code

    def problems(self, problems: Iterable[Problem], file: str) -> None:
        """Report problems that do not end the command."""
        listed = list(problems)
        if self.format is Format.HUMAN and listed:
            click.echo(render(listed, file), err=True)
        self._write(record_of(problem, self._file() or file) for problem in listed)

    def note(self, text: str) -> None:
        """Tell the user something."""
        if self.format is Format.HUMAN:
            click.echo(f"note: {sanitize(text)}", err=True)
        self._write([Record("", "note", text, file=self._file())])

    def table(self, text: str) -> None:
        """Show figures beside the answer; for machines they are a note."""
        if self.format is Format.HUMAN:
            click.echo(text, err=True)
        self._write([Record("", "note", text)])

    def finish(self, exit_code: int) -> None:
        """The command has ended."""
        if self.format is Format.SARIF:
            rules = [Rule(c.name, c.title, c.explanation, c.exit_code) for c in all_codes()]
            click.echo(to_sarif(self._kept, rules, exit_code), err=True)

    def _write(self, records: Iterable[Record]) -> None:
        for record in records:
            if self.format is Format.JSON:
                click.echo(to_json(record), err=True)
            elif self.format is Format.GITHUB:
                click.echo(to_github(record), err=True)
            elif self.format is Format.SARIF:
                self._kept.append(record)

    def _file(self) -> str:
        params = self.context.params if self.context else {}
        return next((str(params[name]) for name in _FILE_ARGUMENTS if params.get(name)), "")


def reporter() -> Reporter:
    """The reporter of the running command."""
    context = click.get_current_context(silent=True)
    found = context.meta.get(_KEY) if context else None
    return found if isinstance(found, Reporter) else Reporter()


def choose_format(ctx: click.Context, _: click.Parameter, value: str) -> None:
    """Callback of ``--diagnostics-format``."""
    ctx.meta[_KEY] = Reporter(Format(value), ctx)
