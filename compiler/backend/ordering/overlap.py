"""Programs whose inputs overlap: each core works on several at a time, in rounds (`lag`).

Everything begins when a modulo schedule says. Then what shares no memory yet is moved to where
there is room for it at its times (`share_out`), and the instructions of a round are written in the
order of their beginnings, each for the input that it is for by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imcc.isa import Operation, Program, Target
from imcc.isa.instructions import Lag, Load

from ...schedule import Places
from ..probe import ValueProbe
from .attempt import Times
from .fills import fills_cut_at
from .items import CoreItems, items_by_core
from .jobs import Job, jobs
from .modulo import Modulo
from .needs import Needs
from .play import Play
from .share_out import Moved, Turn, share_out
from .writer import Writer, moved_probes, nodes_by_core, rewritten

# Periods to try, in times for which the busiest resource works.
_PERIODS = (1.01, 1.04, 1.08, 1.15, 1.25, 1.4, 1.6)
# Periods for which memory may be too small: a longer one hardly needs less.
_CROWDED = 2


@dataclass(frozen=True, eq=False)
class Overlap:
    """A program whose inputs overlap, one beginning every `period` cycles.

    The busiest resource works for `busiest` of them. `peaks` are the bytes of local memory that
    each core needs.
    """

    program: Program
    probes: tuple[ValueProbe, ...]
    period: int
    busiest: int
    peaks: Mapping[int, int]


def overlap_inputs(
    program: Program, probes: Sequence[ValueProbe], places: Places
) -> Overlap | None:
    """The program for inputs that overlap; None if none is found.

    `places` says what of the memory of each core is for one purpose only. Nothing shares memory.
    """
    stays = _Stays(places)
    cores = items_by_core(program, probes, fills_cut_at(places), stays)
    found = jobs(cores, in_order=False)
    Play(found, program.target).run()
    needs = Needs(found, program.target, places)
    modulo = Modulo(found, needs, _labels(program, found))
    crowded = 0
    for factor in _PERIODS:
        period = int(needs.busiest * factor)
        times = modulo.begins(period)
        if times is None:
            continue
        turns = _turns(found, times, period)
        moved = _shared_out(program.target, cores, turns, places, period)
        if moved is not None:
            written = _written(program, probes, cores, turns, moved)
            return Overlap(*written, period, needs.busiest, {c: m.peak for c, m in moved.items()})
        crowded += 1
        if crowded == _CROWDED:
            break
    return None


def _shared_out(
    target: Target,
    cores: Mapping[int, CoreItems],
    turns: Mapping[int, Sequence[Turn]],
    places: Places,
    period: int,
) -> dict[int, Moved] | None:
    """Where the places of all cores lie; None as soon as one has too little memory."""
    found = {}
    for core, items in cores.items():
        mine, limit = places.get(core, ()), target.core.local_memory_bytes
        moved = share_out(items, turns.get(core, ()), mine, period, limit)
        if moved is None:
            return None
        found[core] = moved
    return found


class _Stays:
    """Whether an operation loads constant data, which stays in a place of its own."""

    def __init__(self, places: Places) -> None:
        self._constant = {
            core: {one.address for one in found if one.constant} for core, found in places.items()
        }

    def __call__(self, operation: Operation) -> bool:
        if not isinstance(operation.instruction, Load):
            return False
        return operation.streams["dst"].extent[0] in self._constant.get(operation.core, ())


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


def _written(
    program: Program,
    probes: Sequence[ValueProbe],
    cores: Mapping[int, CoreItems],
    turns: Mapping[int, Sequence[Turn]],
    moved: Mapping[int, Moved],
) -> tuple[Program, tuple[ValueProbe, ...]]:
    nodes = nodes_by_core(program.origins)
    writers = {
        core: _write(Writer(nodes.get(core, {}), moved[core].operation), items, turns.get(core, ()))
        for core, items in cores.items()
    }
    found = tuple(
        replace(probe, stream=moved[probe.core].stream(probe.stream))
        for probe in moved_probes(probes, cores, writers)
    )
    return rewritten(program, writers), found


def _write(writer: Writer, items: CoreItems, turns: Sequence[Turn]) -> Writer:
    """Write the setup, which happens once, then a round."""
    writer.write(items, ())
    writer.begin_round()
    pcs: list[int | None] = []
    lag = 0
    for turn in turns:
        if turn.lag != lag:
            writer.mark(Lag(turn.lag))
            lag = turn.lag
        operation = items.items[turn.index].operation
        pcs.append(None if operation is None else writer.add(operation))
    before = writer.last_of_setup
    for place in sorted(range(len(turns)), key=lambda place: turns[place].lag):
        pc = pcs[place]
        if pc is None:
            writer.looks[turns[place].index] = before
        else:
            before = pc
    return writer
