"""What the products of a graph ask for when their rows stream."""

from __future__ import annotations

from collections.abc import Mapping

from imcc.isa import Target

from ..ir.graph import Graph, Node
from ..mapping.shares import Demand, Demands, Footprint
from ..mapping.tiling import Sharing
from .jobs import vector_time
from .options import ScheduleMode
from .room import row_axes
from .row_ranges import has_strips
from .scratch import rows_of, windows_per_row

_FILL = {ScheduleMode.LATENCY: 2, ScheduleMode.THROUGHPUT: 0}


def sharing(mode: ScheduleMode, target: Target) -> Sharing | None:
    """What products ask for in a schedule; None where each lies on the chip once."""
    if mode is ScheduleMode.LAYERS:
        return None

    def demands(graph: Graph, footprints: Mapping[str, Footprint]) -> Demands:
        axes = row_axes(graph)
        found = (
            _demand(node, footprints[node.results[0].name], axes[node.results[0].name], target)
            for node in graph.nodes
            if node.results[0].name in footprints
        )
        return Demands(tuple(found), _FILL[mode])

    return demands


def _demand(node: Node, footprint: Footprint, axis: int | None, target: Target) -> Demand:
    result = node.result
    rows = 1 if axis is None else rows_of(node)
    windows, work = windows_per_row(node), vector_time(node, result.type.size, target)
    columns = axis is not None and has_strips(node, axis)
    return Demand(result.name, footprint, rows, windows, work, columns)
