"""Programs in rounds: what is loaded once, and then the instructions of each core for every round.

Nothing of such a program shares memory before its instructions have an order and times. Then
everything moves to where there is room for it at its times (`share_out`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imcc.isa import Operation, Program
from imcc.isa.instructions import Lag, Load

from ...schedule import Places
from ..probe import ValueProbe
from .fills import fills_cut_at
from .items import CoreItems, items_by_core
from .share_out import Moved, Turn, share_out
from .writer import Writer, moved_probes, nodes_by_core, rewritten

Turns = Mapping[int, Sequence[Turn]]
"""The items of each core in the order of a round."""


@dataclass(frozen=True, eq=False)
class InRounds:
    """A program in rounds. `peaks` are the bytes of local memory that each core needs."""

    program: Program
    probes: tuple[ValueProbe, ...]
    peaks: Mapping[int, int]


@dataclass(frozen=True, eq=False)
class Unshared:
    """A program in which nothing shares memory; `places` says what each part of it is for."""

    program: Program
    probes: Sequence[ValueProbe]
    places: Places
    cores: Mapping[int, CoreItems]

    @classmethod
    def of(cls, program: Program, probes: Sequence[ValueProbe], places: Places) -> Unshared:
        """With the items of each core; constant data is loaded once, before them."""
        cores = items_by_core(program, probes, fills_cut_at(places), _Stays(places))
        return cls(program, probes, places, cores)

    def in_rounds(self, turns: Turns, period: int) -> InRounds | None:
        """The program in this order, a round every `period` cycles; None without the memory."""
        moved = self._shared_out(turns, period)
        if moved is None:
            return None
        nodes = nodes_by_core(self.program.origins)
        writers = {
            core: _written(items, turns.get(core, ()), nodes.get(core, {}), moved[core])
            for core, items in self.cores.items()
        }
        probes = tuple(
            replace(probe, stream=moved[probe.core].stream(probe.stream))
            for probe in moved_probes(self.probes, self.cores, writers)
        )
        peaks = {core: one.peak for core, one in moved.items()}
        return InRounds(rewritten(self.program, writers), probes, peaks)

    def _shared_out(self, turns: Turns, period: int) -> dict[int, Moved] | None:
        """Where the places of all cores lie; None as soon as one has too little memory."""
        limit, found = self.program.target.core.local_memory_bytes, {}
        for core, items in self.cores.items():
            mine = self.places.get(core, ())
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


def _written(
    items: CoreItems, turns: Sequence[Turn], nodes: Mapping[int, tuple[str, ...]], moved: Moved
) -> Writer:
    """The setup, which happens once, and then a round."""
    writer = Writer(nodes, items, [turn.index for turn in turns], moved.operation)
    writer.write_setup()
    writer.begin_round()
    pcs: list[int | None] = []
    lag = 0
    for turn in turns:
        if turn.lag != lag:
            writer.mark(Lag(turn.lag))
            lag = turn.lag
        is_look = items.items[turn.index].operation is None
        pcs.append(None if is_look else writer.add())
    before = writer.last_of_setup
    for place in sorted(range(len(turns)), key=lambda place: turns[place].lag):
        pc = pcs[place]
        if pc is None:
            writer.looks[turns[place].index] = before
        else:
            before = pc
    return writer
