"""What the products of a graph ask for when their rows stream."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.graph import Graph, Node
from ..mapping.shares import Demand, Footprint, Room, Share, choose_shares
from .room import row_axes
from .scratch import windows_per_row
from .stream_rows import MOST_RUNS, runs


def shares(graph: Graph, footprints: Mapping[str, Footprint], room: Room) -> Mapping[str, Share]:
    """How often each product should lie on the chip; `footprints` by result name."""
    axes = row_axes(graph)
    demands = [
        _demand(node, footprints[node.results[0].name], axes[node.results[0].name])
        for node in graph.nodes
        if node.results[0].name in footprints
    ]
    return choose_shares(demands, room)


def _demand(node: Node, footprint: Footprint, axis: int | None) -> Demand:
    result = node.result
    rows = 1 if axis is None else result.type.shape[axis]
    cut = runs(rows, MOST_RUNS)
    windows = windows_per_row(node) * (cut[0][1] - cut[0][0])
    return Demand(result.name, footprint, len(cut), windows, float(result.type.size))
