"""Where the keys of a TOML text stand, so that an error can point at them.

`tomllib` gives values without positions. This scanner runs over a text that `tomllib` has
accepted, so it only needs to find table headers and keys; what lies inside inline tables and
multi-line arrays is found through the key that holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KeyPath = tuple[str, ...]

_PART = r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
_DOTTED = rf"(?:{_PART})(?:\s*\.\s*(?:{_PART}))*"
_HEADER = re.compile(rf"^\s*\[\[?\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"^\s*({_DOTTED})\s*=\s*(.*?)\s*$")
_STRING_OR_COMMENT = re.compile(r"""("(?:[^"\\]|\\.)*"|'[^']*')|\s*#.*$""")


@dataclass(frozen=True)
class Place:
    """A line and the columns of a key and of its value, counted from 1."""

    line: int
    key_column: int
    key_width: int
    value_column: int
    value_width: int


@dataclass(frozen=True)
class TomlLines:
    """The lines of a TOML text and the place of each key path."""

    lines: tuple[str, ...]
    places: dict[KeyPath, Place]

    def find(self, path: KeyPath) -> Place | None:
        """Place of the key at `path`, or of the nearest table above it that stands in the text."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return None

    def excerpt(self, line: int, column: int, width: int) -> str:
        """Show the line with carets below the columns [column, column + width)."""
        number = f"{line:>5}"
        text = self.lines[line - 1].replace("\t", " ") if line <= len(self.lines) else ""
        carets = " " * (column - 1) + "^" * max(width, 1)
        return f"{number} | {text}\n{' ' * len(number)} | {carets}"


def scan(text: str) -> TomlLines:
    """Find every table header and key of a valid TOML text."""
    places: dict[KeyPath, Place] = {}
    table: KeyPath = ()
    closing = ""
    lines = tuple(text.splitlines())
    for number, line in enumerate(lines, 1):
        if closing:
            closing = "" if closing in line else closing
        elif match := _HEADER.match(line):
            table = _split(match[1])
            places.setdefault(table, _place(number, match, 1))
        elif match := _ASSIGNMENT.match(line):
            places.setdefault((*table, *_split(match[1])), _place(number, match, 2))
            closing = _still_open(match[2])
    return TomlLines(lines, places)


def _place(line: int, match: re.Match[str], value_group: int) -> Place:
    value = _STRING_OR_COMMENT.sub(lambda m: m[1] or "", match[value_group])
    return Place(
        line,
        match.start(1) + 1,
        len(match[1]),
        match.start(value_group) + 1,
        len(value),
    )


def _split(dotted: str) -> KeyPath:
    parts = re.findall(_PART, dotted)
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in parts)


def _still_open(value: str) -> str:
    for quotes in ('"""', "'''"):
        if value.startswith(quotes) and quotes not in value[3:]:
            return quotes
    return ""
