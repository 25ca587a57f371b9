"""Programs whose inputs overlap: each core works on several at a time, in rounds (`lag`).

Everything begins when a modulo schedule says. The instructions of a round are written in the order
of their beginnings, each for the input that it is for by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imcc.isa import Program

from .attempt import Times
from .jobs import Job, jobs
from .modulo import Modulo
from .needs import Needs
from .play import Play
from .rounds import InRounds, Unshared
from .share_out import Turn
from .writer import nodes_by_core

# Periods to try, in times for which the busiest resource works.
_PERIODS = (1.01, 1.04, 1.08, 1.15, 1.25, 1.4, 1.6)
# Periods for which memory may be too small: a longer one hardly needs less.
_CROWDED = 2


@dataclass(frozen=True, eq=False)
class Overlap:
    """A program whose inputs overlap, one beginning every `period` cycles.

    The busiest resource works for `busiest` of them.
    """

    rounds: InRounds
    period: int
    busiest: int


def overlap_inputs(unshared: Unshared) -> Overlap | None:
    """The program for inputs that overlap; None if none is found."""
    program = unshared.program
    found = jobs(unshared.cores, in_order=False)
    Play(found, program.target).run()
    needs = Needs(found, program.target, unshared.places)
    modulo = Modulo(found, needs, _labels(program, found))
    crowded = 0
    for factor in _PERIODS:
        period = int(needs.busiest * factor)
        times = modulo.begins(period)
        if times is None:
            continue
        rounds = unshared.in_rounds(_turns(found, times, period), period)
        if rounds is not None:
            return Overlap(rounds, period, needs.busiest)
        crowded += 1
        if crowded == _CROWDED:
            break
    return None


def _labels(program: Program, found: Sequence[Job]) -> list[tuple[str, ...] | None]:
    """The nodes of which each job is a part."""
    nodes = nodes_by_core(program.origins)
    labels = []
    for job in found:
        own = (
            nodes.get(core, {}).get(item.operation.pc)
            for (core, _), item in zip(job.places, job.items, strict=True)
            if item.operation is not None
        )
        labels.append(next(own, None))
    return labels


def _turns(found: Sequence[Job], times: Sequence[Times], period: int) -> dict[int, list[Turn]]:
    """The order of each core's items in a round, each with its lag.

    A round of a core begins with the first thing that it does for an input. At equal times stands
    first what was scheduled first, on all cores alike.
    """
    several: dict[int, list[tuple[Times, int]]] = {}
    for job, one in zip(found, times, strict=True):
        for core, index in job.places:
            several.setdefault(core, []).append((one, index))
    turns = {}
    for core, own in several.items():
        first = min(one.begin for one, _ in own)
        own.sort(key=lambda pair: ((pair[0].begin - first) % period, pair[0].number))
        turns[core] = [
            Turn(index, (one.begin - first) // period, one.begin, one.end) for one, index in own
        ]
    return turns
