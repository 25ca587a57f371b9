"""A tiled graph for a schedule: placed with what that says of memory and of time."""

from __future__ import annotations

from imcc.isa import Target

from ..errors import CapacityError
from ..ir.graph import Graph
from ..mapping.deals import overlapped_deals
from ..mapping.options import KernelUnfolding, TileOptions
from ..mapping.overlapping import Grain
from ..mapping.oversize import cut_to_chip
from ..mapping.soonest import soonest_deals
from ..mapping.tiled_graph import TiledGraph
from ..mapping.tiling import tile, tile_apart
from ..mapping.unfold import unfold
from .memory_check import memory_check
from .options import ScheduleMode
from .sharing import sharing, sharing_apart

_GRAIN = Grain()
_DEALS = {ScheduleMode.LATENCY: soonest_deals, ScheduleMode.THROUGHPUT: overlapped_deals}


def map_for(
    graph: Graph,
    target: Target,
    options: TileOptions,
    mode: ScheduleMode,
) -> TiledGraph:
    """Place a quantized graph for a schedule; products larger than the chip are cut.

    Convolutions have parallel windows where these pay and all products fit the chip together.
    Raises as `tile` does.
    """
    if options.unfolding is KernelUnfolding.AUTO:
        unfolded = unfold(graph, target, options, sharing(mode, target))
        tiled = None if unfolded is graph else _at_once(unfolded, target, options, mode)
        if tiled is not None:
            return tiled
    return _placed(graph, target, options, mode)


def map_apart(
    graph: Graph,
    target: Target,
    options: TileOptions,
    mode: ScheduleMode,
    grain: Grain = _GRAIN,
) -> TiledGraph | None:
    """Place a quantized graph so that products have arrays of their own; None where that fails.

    Raises as `tile` does.
    """
    asked = sharing_apart(target, grain)
    if options.unfolding is KernelUnfolding.AUTO:
        graph = unfold(graph, target, options, asked)
    fits = memory_check(graph, target, mode)
    return tile_apart(graph, target, options, fits, asked, _DEALS[mode])


def _at_once(
    graph: Graph,
    target: Target,
    options: TileOptions,
    mode: ScheduleMode,
) -> TiledGraph | None:
    """Everything on the chip together; None where it does not fit."""
    fits = memory_check(graph, target, mode)
    try:
        tiled = tile(graph, target, options, fits, sharing(mode, target))
    except CapacityError:
        return None
    return tiled if tiled.stage_count == 1 else None


def _placed(
    graph: Graph,
    target: Target,
    options: TileOptions,
    mode: ScheduleMode,
) -> TiledGraph:
    while True:
        fits = memory_check(graph, target, mode)
        try:
            return tile(graph, target, options, fits, sharing(mode, target))
        except CapacityError:
            smaller = cut_to_chip(graph, target, options)
            if smaller is graph:
                raise
            graph = smaller
