"""Phases for inputs in a row: in each round every phase works on another input.

A product begins a phase, with what follows up to the next products, and so does what follows a
concatenation. So no core waits for rows of another layer, and what layers hand on passes the global
memory once.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.ops.host import Host
from ..ir.ops.quantized import QConcat
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..mapping.staging import levels
from ..mapping.tiled_graph import TiledGraph
from .streamed import Streamed

# Cells of a weight together take up to so many times its bytes in global memory.
_PACKED = 2


def pipeline_phases(tiled: TiledGraph) -> Mapping[str, int]:
    """The phase of each result; of some nothing is left to do."""
    graph = tiled.graph
    return {
        value.name: max(level, 0)
        for node, level in zip(graph.nodes, levels(graph, Tiled, QConcat), strict=True)
        for value in node.results
    }


def can_be_in_phases(tiled: TiledGraph) -> bool:
    """Whether all weights are on the chip at a time, and the host has no part in the network."""
    return tiled.stage_count == 1 and not any(isinstance(n.op, Host) for n in tiled.graph.nodes)


def inputs_fit(tiled: TiledGraph, apart: Streamed) -> bool:
    """Whether all inputs on their way have room in global memory, beside the weights."""
    graph, weights = apart.graph, tiled.graph.constants.values()
    waiting = [node.result for node in graph.nodes if isinstance(node.op, Spill)]
    held = [value.type for value in (*graph.inputs, *graph.outputs, *waiting)]
    each = sum(type_.size * type_.dtype.numpy.itemsize for type_ in held)
    phases = len(set(apart.phases.values()))
    needed = phases * each + _PACKED * sum(array.nbytes for array in weights)
    return needed <= tiled.target.chip.global_memory_bytes
