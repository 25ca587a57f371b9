"""A tiled graph for a schedule: placed with what that says of memory and of time."""

from __future__ import annotations

from collections.abc import Callable

from imcc.isa import Target

from ..errors import CapacityError
from ..ir.graph import Graph
from ..mapping.options import TileOptions
from ..mapping.oversize import cut_to_chip
from ..mapping.placer import Fits
from ..mapping.tiled_graph import TiledGraph
from ..mapping.tiling import tile
from .options import ScheduleMode
from .schedule import memory_check
from .sharing import sharing


def map_for(
    graph: Graph,
    target: Target,
    options: TileOptions,
    mode: ScheduleMode,
    remembered: Callable[[Fits], Fits] = lambda fits: fits,
) -> TiledGraph:
    """Place a quantized graph for a schedule; products larger than the chip are cut.

    `remembered` may wrap the test whether operations fit local memory. Raises as `tile` does.
    """
    while True:
        fits = remembered(memory_check(graph, target, mode))
        try:
            return tile(graph, target, options, fits, sharing(mode, target))
        except CapacityError:
            smaller = cut_to_chip(graph, target, options)
            if smaller is graph:
                raise
            graph = smaller
