"""Programs whose inputs overlap, where these promise a shorter interval than inputs in turn.

They are mapped for it: arrays of a core that work on different inputs can all work at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from imcc.isa import Program, Target
from imcc.isa.target import Network

from .backend import Aim, ValueProbe, emit_with_probes, overlap_inputs, played_cycles
from .ir import Graph
from .ir.ops.host import Host
from .mapping import TiledGraph, TileOptions
from .options import Facts, write_facts
from .schedule import Schedule, map_overlapped, on_mesh, schedule_apart

# Instructions of programs for which it is tried: that takes three to eight times as long.
_LONGEST = 40_000
# By how much longer rounds are than their schedule, which counts no wait of a core in order.
_DRIFT = 1.15


@dataclass(frozen=True, eq=False)
class Overlapped:
    """A program whose inputs overlap, and what it was made from."""

    tiled: TiledGraph
    schedule: Schedule
    program: Program
    probes: tuple[ValueProbe, ...]


def may_overlap(tiled: TiledGraph, program: Program) -> bool:
    """Whether it is worth trying for the network of a program in which inputs come in turn.

    All weights must be on the chip at a time, the host have no part, and cores lie on a mesh: on a
    bus phases do better.
    """
    return (
        tiled.target.chip.network is Network.MESH
        and tiled.stage_count == 1
        and not any(isinstance(node.op, Host) for node in tiled.graph.nodes)
        and sum(map(len, program.cores.values())) <= _LONGEST
    )


def overlapped(
    quantized: Graph, target: Target, options: TileOptions, facts: Facts, in_turn: Program
) -> Overlapped | None:
    """The program whose inputs overlap; None where it is not faster than one for inputs in turn."""
    most = played_cycles(in_turn, Aim.INPUTS_IN_A_ROW) / _DRIFT
    placed = map_overlapped(quantized, target, options)
    if placed is None:
        return None
    tiled, streamed = on_mesh(placed)
    plan, places = schedule_apart(tiled, streamed)
    program, probes = emit_with_probes(plan, write_facts(facts))
    found = overlap_inputs(program, probes, places, most)
    if found is None:
        return None
    return Overlapped(tiled, replace(plan, peak=found.peaks), found.program, found.probes)
