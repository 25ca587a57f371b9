"""Programs in which every product has arrays of its own, all of which can work side by side.

Their instructions are put in order before memory is shared out. For throughput inputs overlap, for
latency an input goes through as soon as it can. They are longer than others and take longer to
make, so they are tried up to a number of instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from imcc.isa import Program, Target
from imcc.isa.target import Network

from .backend import (
    Aim,
    InRounds,
    Unshared,
    ValueProbe,
    emit_with_probes,
    order_single,
    overlap_inputs,
    played_cycles,
)
from .ir import Graph
from .ir.ops.host import Host
from .mapping import TiledGraph, TileOptions
from .mapping.overlapping import Grain
from .options import Facts, write_facts
from .schedule import Schedule, ScheduleMode, map_apart, on_mesh, schedule_apart
from .schedule.streamed import Streamed

# By how much longer rounds may be than their schedule: cores run in order.
_DRIFT = 1.08
# Of the time for which the busiest resource works, a period to which no program in turn comes near.
_SURE = 1.25
# Grains for latency, the best one first: the finer, the sooner the next product begins. With time
# there is room for programs in which groups change their strips, and as many as `_ENOUGH` are made.
_QUICK = (Grain(8, True), Grain(4, True), Grain(2, True), Grain(1, True))
_SLOW = (Grain(8), Grain(8, True), Grain(4), Grain(4, True), Grain(2), Grain(1))
_ENOUGH = 3
# Instructions for each operand in a graph cut in rows, about: most are rows that come from a core.
_FOR_AN_OPERAND = 2.5
# By how much longer these programs are than others, about.
_LONGER = 4.5
_SLOWER = (
    "products share cores, because the program is long; with -O3 each has arrays of its own, "
    "which is mostly faster and takes minutes to compile"
)
_REWRITTEN = (
    "weights are written for each input, because the program is long; with -O3 all may find room "
    "on the chip together, which takes minutes to compile"
)


@dataclass(frozen=True, eq=False)
class Apart:
    """A program, what it was made from, and what it promises.

    That is the `cycles` of an input, or from input to input, and whether programs in which products
    share arrays can be no faster.
    """

    tiled: TiledGraph
    schedule: Schedule
    program: Program
    probes: tuple[ValueProbe, ...]
    aim: Aim
    cycles: float
    is_fastest: bool

    def is_better_than(self, tiled: TiledGraph, program: Program) -> bool:
        """Whether it is, of a program whose instructions are not in order yet.

        What writes weights for every input wears cells out: a program that does not is better,
        even if an input takes longer.
        """
        if tiled.stage_count > 1 or self.is_fastest:
            return True
        return self.cycles < played_cycles(program, self.aim)


def may_go_apart(tiled: TiledGraph, program: Program, facts: Facts) -> bool:
    """Whether it is worth trying for the network of a program in which products share cores."""
    longer = _LONGER * _length(program)
    return _can_go_apart(tiled, facts) and longer <= facts.options.most_instructions


def hints(tiled: TiledGraph, program: Program, facts: Facts) -> tuple[str, ...]:
    """What the user should know if it is not tried for lack of time."""
    lacks_time = not (facts.options.takes_time or may_go_apart(tiled, program, facts))
    if not lacks_time or not _can_go_apart(tiled, facts):
        return ()
    return (_SLOWER if tiled.stage_count == 1 else _REWRITTEN,)


def _can_go_apart(tiled: TiledGraph, facts: Facts) -> bool:
    """Whether a program with arrays for every product can be better.

    All weights must have room on the chip at a time, the host have no part, and cores lie on a
    mesh: on a bus phases do better.
    """
    return (
        facts.options.schedule is not ScheduleMode.LAYERS
        and tiled.target.chip.network is Network.MESH
        and _have_room(tiled)
        and not any(isinstance(node.op, Host) for node in tiled.graph.nodes)
    )


def _have_room(tiled: TiledGraph) -> bool:
    """Whether all weights do; a chip that just holds them may have been given stages."""
    chip = tiled.target.chip.cores * tiled.target.core.arrays
    needed = sum(footprint.arrays for footprint in tiled.footprints.values())
    return tiled.stage_count == 1 or 0 < needed <= chip


def apart(quantized: Graph, target: Target, facts: Facts) -> Apart | None:
    """The program with arrays for every product; None where it does not come out."""
    return _MAKERS[facts.options.schedule](quantized, target, facts)


def _for_latency(quantized: Graph, target: Target, facts: Facts) -> Apart | None:
    """The program of the finest grain that is not too long; the best of a few, if there is time."""
    grains, enough = (_SLOW, _ENOUGH) if facts.options.takes_time else (_QUICK, 1)
    made = (_single(quantized, target, facts, grain) for grain in grains)
    found = islice((one for one in made if one is not None), enough)
    return min(found, key=lambda one: one.cycles, default=None)


def _single(quantized: Graph, target: Target, facts: Facts, grain: Grain) -> Apart | None:
    """The program for one input at a time."""
    options = TileOptions(facts.options.adc, unfolding=facts.options.unfolding)
    placed = map_apart(quantized, target, options, ScheduleMode.LATENCY, grain)
    if placed is None:
        return None
    tiled, streamed = on_mesh(placed, hands_on=True)
    if _FOR_AN_OPERAND * _operands(streamed) > facts.options.most_instructions:
        return None
    plan, unshared = _unshared(tiled, streamed, facts)
    found = None if _is_long(unshared, facts) else order_single(unshared)
    if found is None:
        return None
    return _made(tiled, plan, found.rounds, Aim.ONE_INPUT, found.cycles, False)


def _for_throughput(quantized: Graph, target: Target, facts: Facts) -> Apart | None:
    options = TileOptions(facts.options.adc, unfolding=facts.options.unfolding)
    placed = map_apart(quantized, target, options, ScheduleMode.THROUGHPUT)
    if placed is None:
        return None
    tiled, streamed = on_mesh(placed)
    plan, unshared = _unshared(tiled, streamed, facts)
    found = None if _is_long(unshared, facts) else overlap_inputs(unshared)
    if found is None:
        return None
    surely = found.period <= _SURE * found.busiest
    return _made(tiled, plan, found.rounds, Aim.INPUTS_IN_A_ROW, found.period * _DRIFT, surely)


_MAKERS: dict[ScheduleMode, Callable[[Graph, Target, Facts], Apart | None]] = {
    ScheduleMode.LATENCY: _for_latency,
    ScheduleMode.THROUGHPUT: _for_throughput,
}


def _unshared(tiled: TiledGraph, streamed: Streamed, facts: Facts) -> tuple[Schedule, Unshared]:
    plan, places = schedule_apart(tiled, streamed)
    program, probes = emit_with_probes(plan, write_facts(facts))
    return plan, Unshared.of(program, probes, places)


def _made(
    tiled: TiledGraph, plan: Schedule, rounds: InRounds, aim: Aim, cycles: float, fastest: bool
) -> Apart:
    plan = replace(plan, peak=rounds.peaks)
    return Apart(tiled, plan, rounds.program, rounds.probes, aim, cycles, fastest)


def _operands(streamed: Streamed) -> int:
    return sum(len(node.operands) for node in streamed.graph.nodes)


def _is_long(unshared: Unshared, facts: Facts) -> bool:
    return _length(unshared.program) > facts.options.most_instructions


def _length(program: Program) -> int:
    return sum(map(len, program.cores.values()))
