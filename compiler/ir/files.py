"""Graphs in files, with large constants in a safetensors file beside the text."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..errors import InputError, VerificationError, expect_within
from .graph import Graph
from .op import Array
from .parser import parse_graph
from .printer import is_inline, print_graph
from .verify import verify

MAX_RESOURCE_BYTES = 1 << 20


def write_graph(graph: Graph, path: Path) -> None:
    """Write a graph; with more than 1 MiB of constants they go to `weights_path`."""
    large = {name: array for name, array in graph.constants.items() if not is_inline(array)}
    beside = sum(array.nbytes for array in large.values()) > MAX_RESOURCE_BYTES
    if beside:
        save_file(large, weights_path(path))
    path.write_text(print_graph(graph, resources=not beside), encoding="utf-8", newline="\n")


def read_graph(path: Path) -> Graph:
    """Read and verify a graph; raises `InputError` with the place, or with the broken rules."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: cannot be read as text: it is not a regular file")
    try:
        mib = -(-path.stat().st_size >> 20)
        expect_within(mib, "text_mib", f"the text has {mib:,} MiB", path.name)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    graph = parse_graph(text, _arrays(path), str(path))
    try:
        verify(graph)
    except VerificationError as error:
        raise InputError(f"{path}: {error}") from error
    return graph


def weights_path(path: Path) -> Path:
    """Where the large constants of the graph at `path` are."""
    return path.with_name(f"{path.name}.weights.safetensors")


def _arrays(path: Path) -> dict[str, Array]:
    weights = weights_path(path)
    if not weights.exists():
        return {}
    try:
        return load_file(weights)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{weights}: cannot be read as safetensors: {error}") from error
