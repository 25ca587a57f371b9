"""Phases of a schedule: each is over before the next begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.ops.quant import Dequantize, Leave
from ..mapping.tiled_graph import TiledGraph
from .order import Step
from .streamed import Streamed


def layer_phases(tiled: TiledGraph, together: int) -> Mapping[str, int]:
    """Phases of so many operations of a stage: the fewer, the less waits in local memory.

    What leaves the chip is stored while it is made.
    """
    phases: dict[str, int] = {}
    phase, stage, count = 0, 0, 0
    for node in sorted(tiled.graph.nodes, key=tiled.stage_of):
        if isinstance(node.op, Dequantize | Leave):
            phases[node.result.name] = phases[node.operands[0].name]
            continue
        if count == together or tiled.stage_of(node) > stage:
            phase, stage, count = phase + 1, tiled.stage_of(node), 0
        count += 1
        phases.update((value.name, phase) for value in node.results)
    return phases


def in_phases(streamed: Streamed, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps of one phase after the other."""
    nodes = streamed.graph.nodes
    return tuple(sorted(steps, key=lambda step: streamed.phase_of(nodes[step.node])))
