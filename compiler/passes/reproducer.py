"""Reading back what `CrashReproducer` wrote: ``imcc opt --run-reproducer FILE``."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..ir import Graph, parse_graph
from .instruments import REPRODUCER_PREFIX
from .pipeline import Pipeline


def read_reproducer(path: Path) -> tuple[Pipeline, Graph]:
    """The passes that are left and the graph to run them on.

    Raises `InputError` if the file is not a reproducer.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    first, _, _ = text.partition("\n")
    if not first.startswith(f"{REPRODUCER_PREFIX}'") or not first.endswith("'"):
        raise InputError(f"{path}:1: the first line must be {REPRODUCER_PREFIX}'...'")
    passes = first.removeprefix(REPRODUCER_PREFIX)[1:-1]
    return Pipeline.parse(passes), parse_graph(text, name=str(path))
