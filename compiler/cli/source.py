"""Reading text files that users name on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, expect_within
from ..limits import limits

if TYPE_CHECKING:
    from imcc.isa import Program


def read_text(path: str) -> str:
    """The UTF-8 text of a file, or of standard input where the path is ``-``."""
    most = limits().text_mib << 20
    data = sys.stdin.buffer.read(most + 1) if path == "-" else _read(Path(path), most)
    expect_within(-(-len(data) >> 20), "text_mib", "the text has more MiB", path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the file is not UTF-8 text at byte {error.start}") from error


def assemble_file(path: str) -> Program:
    """Assemble a file, or standard input where the path is ``-``; errors name the file."""
    from imcc.isa import assemble
    from imcc.isa.errors import AssemblyError

    try:
        return assemble(read_text(path))
    except AssemblyError as error:
        raise AssemblyError(f"{path}: {error}", error.line, error.column) from error


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)
