"""Texts with a name, so that errors can show the place."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError

_EXCERPT = 100


@dataclass(frozen=True)
class Position:
    """A place in a text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """A text and the name under which errors speak of it."""

    text: str
    name: str

    def error(self, position: Position, message: str) -> InputError:
        """An error that shows the line with a caret under the place."""
        line = self.text.split("\n")[position.line - 1].rstrip("\r").expandtabs(1)
        start = max(0, position.column - 1 - _EXCERPT // 2)
        excerpt = line[start : start + _EXCERPT]
        caret = " " * (position.column - 1 - start) + "^"
        where = f"{self.name}:{position.line}:{position.column}"
        return InputError(f"{where}: {message}\n  {excerpt}\n  {caret}")

    @property
    def end(self) -> Position:
        """The place after the last character."""
        lines = self.text.split("\n")
        return Position(len(lines), len(lines[-1]) + 1)
