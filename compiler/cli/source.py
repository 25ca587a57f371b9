"""Reading text files that users name on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, LimitError

if TYPE_CHECKING:
    from imcc.isa import Program

MAX_TEXT_BYTES = 256 << 20


def read_text(path: str) -> str:
    """The UTF-8 text of a file, or of standard input where the path is ``-``."""
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if path == "-" else _read(Path(path))
    if len(data) > MAX_TEXT_BYTES:
        raise LimitError(f"{path}: the text is larger than {MAX_TEXT_BYTES} bytes")
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


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TEXT_BYTES + 1)
