"""How much memory operations take on a core when their rows stream: an estimate for placement."""

from __future__ import annotations

from math import prod

from imcc.isa import Target

from ..ir.graph import Graph, Node, Value
from ..ir.ops.host import Host
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..mapping.placer import Fits
from ..mapping.runs import MOST_RUNS
from .allocate import aligned
from .cuts import runs, runs_of
from .layout import ELEMENTS
from .row_ranges import part_of, row_axis
from .running import Running, running
from .scratch import requests
from .window import border_of, bordered


def stream_check(graph: Graph, target: Target) -> Fits:
    """A test for placement: whether nodes whose rows stream fit a core's local memory.

    Windows, results and parameters of all nodes count, working memory that of the largest.
    """
    limit = target.core.local_memory_bytes
    known: dict[str, tuple[int, int]] = {}
    axes = row_axes(graph)

    def sizes(node: Node) -> tuple[int, int]:
        name = node.results[0].name
        if name not in known:
            known[name] = _sizes(graph, node, axes)
        return known[name]

    def fits(nodes: tuple[Node, ...]) -> bool:
        found = [sizes(node) for node in nodes]
        held = sum(size for size, _ in found)
        return held + max((scratch for _, scratch in found), default=0) <= limit

    return fits


def largest(graph: Graph) -> int:
    """Bytes of the largest tensor that a core makes or loads."""
    made = (v for node in graph.nodes for v in node.results if not _leaves(node))
    return max(map(_bytes, made), default=0)


def _leaves(node: Node) -> bool:
    return isinstance(node.op, Dequantize | Leave | Host)


def row_axes(graph: Graph) -> dict[str, int | None]:
    """Along which axis each value is made in rows."""
    axes: dict[str, int | None] = {}
    for node in graph.nodes:
        found = None
        if len(node.results) == 1:
            found = row_axis(node, [axes.get(v.name) for v in node.operands])
        axes.update((value.name, found) for value in node.results)
    return axes


def _sizes(graph: Graph, node: Node, axes: dict[str, int | None]) -> tuple[int, int]:
    """Bytes that stay while rows stream, and bytes of working memory."""
    asked = requests(graph, node, 0, "")
    scratch = sum(request.least() for request in asked if not request.content)
    held = sum(request.size(1) for request in asked if request.content)
    if isinstance(node.op, Quantize | Enter | Dequantize | Leave):
        return held, scratch
    axis = axes[node.results[0].name]
    reduction = running(node, [axes.get(v.name) for v in node.operands])
    if reduction is not None:
        return held + _running_bytes(node, reduction, axes), scratch
    if axis is None:
        tensors = [*node.operands, *node.results]
        return held + sum(_bytes(v) for v in tensors if graph.constant(v) is None), scratch
    extent = node.result.type.shape[axis]
    cut = runs_of(node, axis, MOST_RUNS)
    middle = cut[len(cut) // 2]
    held += _bytes(node.result) * (middle[1] - middle[0]) // extent
    for index, need in enumerate(part_of(node, {axis: middle}).needs):
        value = node.operands[index]
        if graph.constant(value) is not None:
            continue
        border = border_of(node, index)
        size = bordered(value.type, border).size if value.type.dtype in ELEMENTS else 0
        for own, (start, stop) in need.items():
            rows = value.type.shape[own] + border.before[own] + border.after[own]
            size = size * (stop - start) // rows
        held += aligned(size)
    return held, scratch


def _running_bytes(node: Node, reduction: Running, axes: dict[str, int | None]) -> int:
    """A run of the operand, what comes of it, and what came of the runs before."""
    x = node.operands[0]
    axis = axes[x.name]
    assert axis is not None
    cut = runs(x.type.shape[axis], MOST_RUNS)
    (part,) = reduction.part.infer([x.type])
    size = aligned(part.size * part.dtype.numpy.itemsize)
    rows = _bytes(x) * (cut[0][1] - cut[0][0]) // x.type.shape[axis]
    return aligned(rows) + _bytes(node.result) + 3 * size


def _bytes(value: Value) -> int:
    if value.type.dtype not in ELEMENTS:
        return 0
    return aligned(prod(value.type.shape) * value.type.dtype.numpy.itemsize)
