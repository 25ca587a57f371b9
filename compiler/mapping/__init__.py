"""Mapping: weight matrices onto the crossbar arrays of a chip.

`plan`, `encoding` and `adc` stand below the tiled operator and know nothing of graphs; the
names of the rest are resolved when they are asked for, because they stand above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plan import MatrixPlan, Shard

if TYPE_CHECKING:
    from ..ir.ops.tiled import shard_weights
    from .options import AdcPolicy, KernelUnfolding, TileOptions
    from .tiled_graph import LayerSummary, TiledGraph, summary
    from .tiling import tile

__all__ = [
    "AdcPolicy",
    "KernelUnfolding",
    "LayerSummary",
    "MatrixPlan",
    "Shard",
    "TileOptions",
    "TiledGraph",
    "shard_weights",
    "summary",
    "tile",
]

_HOMES = {
    "AdcPolicy": ".options",
    "KernelUnfolding": ".options",
    "LayerSummary": ".tiled_graph",
    "TileOptions": ".options",
    "TiledGraph": ".tiled_graph",
    "shard_weights": "..ir.ops.tiled",
    "summary": ".tiled_graph",
    "tile": ".tiling",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name], __name__), name)
