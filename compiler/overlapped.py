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

# Instructions of programs for which it is tried, in turn or not: it takes minutes for longer ones.
_LONGEST = 400_000
# By how much longer rounds may be than their schedule: cores run in order.
_DRIFT = 1.08
# Of the time for which the busiest resource works, a period to which no program in turn comes near.
_SURE = 1.25


@dataclass(frozen=True, eq=False)
class Overlapped:
    """A program whose inputs overlap, and what it was made from.

    An input begins every `period` cycles, of which the busiest resource works for `busiest`.
    """

    tiled: TiledGraph
    schedule: Schedule
    program: Program
    probes: tuple[ValueProbe, ...]
    period: int
    busiest: int

    @property
    def surely_faster(self) -> bool:
        """Whether inputs in turn need not be tried."""
        return self.period <= _SURE * self.busiest

    def is_faster_than(self, in_turn: Program) -> bool:
        """Whether it promises a shorter interval than a program for inputs in turn."""
        return self.period * _DRIFT < played_cycles(in_turn, Aim.INPUTS_IN_A_ROW)


def may_overlap(tiled: TiledGraph, program: Program) -> bool:
    """Whether it is worth trying for the network of a program in which inputs come in turn.

    All weights must be on the chip at a time, the host have no part, and cores lie on a mesh: on a
    bus phases do better.
    """
    return (
        tiled.target.chip.network is Network.MESH
        and tiled.stage_count == 1
        and not any(isinstance(node.op, Host) for node in tiled.graph.nodes)
        and _length(program) <= _LONGEST
    )


def overlapped(
    quantized: Graph, target: Target, options: TileOptions, facts: Facts
) -> Overlapped | None:
    """The program whose inputs overlap; None where it does not come out."""
    placed = map_overlapped(quantized, target, options)
    if placed is None:
        return None
    tiled, streamed = on_mesh(placed)
    plan, places = schedule_apart(tiled, streamed)
    program, probes = emit_with_probes(plan, write_facts(facts))
    if _length(program) > _LONGEST:
        return None
    found = overlap_inputs(program, probes, places)
    if found is None:
        return None
    plan = replace(plan, peak=found.peaks)
    return Overlapped(tiled, plan, found.program, found.probes, found.period, found.busiest)


def _length(program: Program) -> int:
    return sum(map(len, program.cores.values()))
