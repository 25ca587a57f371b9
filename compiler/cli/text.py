"""Plain text for terminals and pipes: sanitised names, aligned tables, one JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import click

from ..diagnostics import escape

Scalar = str | int | float | bool | None
Json = Scalar | Sequence["Json"] | Mapping[str, "Json"]


def sanitize(text: str) -> str:
    r"""Printable text and line ends, so that names from files cannot drive the terminal.

    >>> sanitize("conv\x1b[31m")
    'conv\\x1b[31m'
    """
    return "\n".join(map(escape, text.split("\n")))


def table(header: Sequence[str], rows: Sequence[Sequence[Scalar]]) -> str:
    """Columns under a header; numbers to the right, text to the left.

    >>> print(table(["layer", "arrays"], [["conv", 3], ["dense", 12]]))
    layer  arrays
    conv        3
    dense      12
    """
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(header, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [
        all(row[i] is None or isinstance(row[i], (int, float)) for row in rows)
        for i in range(len(header))
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in [list(header), *cells]
    ]
    return "\n".join(lines)


def shorten(name: str, width: int = 56) -> str:
    """The beginning of a long name; fused layers can have names of hundreds of characters."""
    return name if len(name) <= width else f"{name[: width - 3]}..."


def brief(source: str) -> str:
    """A data source with the first digits of its hash only."""
    return re.sub(r"(sha256 [0-9a-f]{12})[0-9a-f]+", r"\1", source)


def facts(pairs: Sequence[tuple[str, Scalar]]) -> str:
    """Names and values in two columns.

    >>> print(facts([("arrays", 3), ("target", "isaac")]))
    arrays  3
    target  isaac
    """
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name.ljust(width)}  {_cell(value)}".rstrip() for name, value in pairs)


def echo_json(verb: str, body: Mapping[str, Json]) -> None:
    """Print one JSON object with its schema; keys sorted, ASCII only."""
    document = {"schema": f"imcc.{verb}/1", **body}
    click.echo(json.dumps(document, sort_keys=True, ensure_ascii=True, indent=1))


def _cell(value: Scalar) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return sanitize(str(value)).replace("\n", " ")
