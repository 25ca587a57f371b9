"""A program with its instructions in another order, which means the same and waits less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imcc.isa import Program

from ..probe import ValueProbe
from .items import CoreItems, is_barrier, items_by_core
from .jobs import jobs
from .play import Play, Played
from .steady import Aim, best_play
from .writer import Writer, moved_probes, nodes_by_core, rewritten

_PLAYS = 6
_PLAYS_TO_COMPARE = 2


def order_instructions(
    program: Program, probes: Sequence[ValueProbe], aim: Aim = Aim.ONE_INPUT
) -> tuple[Program, tuple[ValueProbe, ...]]:
    """Order the operations of each core by when a play of the chip begins them.

    Programs in phases or stages are played once: there all cores wait for each other.

    Loops are unrolled. What touches the same bytes, one of them writing, stays in order, so every
    operation reads what it read before. The probes are moved to where their values still lie.
    """
    cores = items_by_core(program, probes)
    order = _played(program, cores, aim, _PLAYS).order
    nodes = nodes_by_core(program.origins)
    written = {
        core: Writer(nodes.get(core, {}), found, order.get(core, [])).write()
        for core, found in cores.items()
    }
    return rewritten(program, written), tuple(moved_probes(probes, cores, written))


def played_cycles(program: Program, aim: Aim = Aim.ONE_INPUT) -> int:
    """Cycles of one input, or from input to input, in a good order for that."""
    played = _played(program, items_by_core(program, ()), aim, _PLAYS_TO_COMPARE)
    in_a_row = aim is Aim.INPUTS_IN_A_ROW and program.phases == 1
    return played.span if in_a_row else played.end


def _played(program: Program, cores: Mapping[int, CoreItems], aim: Aim, plays: int) -> Played:
    play = Play(jobs(cores), program.target, in_turn=program.phases == 1)
    items = [item for found in cores.values() for item in found.items]
    meet = program.phases > 1 or any(map(is_barrier, items))
    return best_play(play, len(items), aim, 1 if meet else plays)
