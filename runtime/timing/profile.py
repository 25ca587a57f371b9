"""The profile of a program: when each layer runs, and what it takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from imcc.isa.instructions import Barrier, Write
from imcc.isa.program import Program
from imcc.isa.target import Target
from imcc.isa.walk import Exchange, Operation, interleave

from .costs import CostModel
from .work import Work, energies, energy_pj

UNTRACED = "(no node)"
"""Name of the layer of instructions that come from no ONNX node."""

_PJ_PER_UJ = 1e6


@dataclass(frozen=True)
class LayerCost:
    """What the instructions of one layer take for one input.

    `name` joins the ONNX nodes with " + ". `cycles` counts busy cycles, added over cores that
    work side by side; the first instruction starts at cycle `first` of the program and the last
    ends at `last`. `bytes_moved` counts bytes read and written, and bytes sent, once a hop.
    """

    name: str
    cycles: int
    first: int
    last: int
    energy_pj: float
    windows: int
    conversions: int
    macs: int
    bytes_moved: int


@dataclass(frozen=True)
class SetupCost:
    """What writing all cells takes, once before the first input; cores write side by side."""

    cycles: int
    energy_pj: float
    cells: int


@dataclass(frozen=True)
class Profile:
    """What a program takes for one input on its target.

    `layers` come in the order in which they end. `latency_cycles` is the end of the last
    instruction. `interval_cycles` counts the busy cycles of the busiest core: no pipeline over
    inputs can be faster. `components` splits the energy by part of the chip, in pJ.
    """

    target: str
    layers: tuple[LayerCost, ...]
    setup: SetupCost
    latency_cycles: int
    latency_us: float
    interval_cycles: int
    interval_us: float
    energy_uj: float
    components: tuple[tuple[str, float], ...]

    @property
    def macs(self) -> int:
        """Multiplications with weights on cells, also with the zeros of grouped convolutions."""
        return sum(layer.macs for layer in self.layers)

    @property
    def conversions(self) -> int:
        """Conversions of all converters."""
        return sum(layer.conversions for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Busy cycles of all cores."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def tops_per_watt(self) -> float:
        """Operations (two a multiplication) per pJ; 0 where no energy is counted."""
        return 2 * self.macs / (self.energy_uj * _PJ_PER_UJ) if self.energy_uj else 0.0


def profile(program: Program) -> Profile:
    """Count cycles and energy of a valid program for one input.

    Raises `ValidationError` where cores wait for each other for ever.
    """
    model, names = CostModel.of(program), _Names(program)
    clocks = _Clocks(program)
    tallies: dict[str, _Tally] = {}
    setup = Work()
    for operation in interleave(program):
        work = model.cost(operation)
        last = _last(operation)
        if isinstance(last.instruction, Write):
            setup = setup.plus(work)
            clocks.write(last.core, work.cycles)
            continue
        span = clocks.run(operation, work.cycles)
        if not isinstance(last.instruction, Barrier):
            tallies.setdefault(names.of(last), _Tally()).add(work, span)
    return _profile(program.target, tallies, setup, clocks)


def _profile(target: Target, tallies: dict[str, _Tally], setup: Work, clocks: _Clocks) -> Profile:
    total = Work()
    for tally in tallies.values():
        total = total.plus(tally.work)
    ordered = sorted(tallies.items(), key=lambda item: item[1].last)
    latency = max(clocks.now.values(), default=0)
    interval = max(clocks.busy.values(), default=0)
    components = energies(total, target.energy)
    return Profile(
        target=target.name,
        layers=tuple(_layer(name, tally, target) for name, tally in ordered),
        setup=SetupCost(
            max(clocks.written.values(), default=0), energy_pj(setup, target.energy), setup.cells
        ),
        latency_cycles=latency,
        latency_us=latency / target.timing.clock_mhz,
        interval_cycles=interval,
        interval_us=interval / target.timing.clock_mhz,
        energy_uj=math.fsum(value for _, value in components) / _PJ_PER_UJ,
        components=components,
    )


def _layer(name: str, tally: _Tally, target: Target) -> LayerCost:
    work = tally.work
    return LayerCost(
        name=name,
        cycles=work.cycles,
        first=tally.first,
        last=tally.last,
        energy_pj=energy_pj(work, target.energy),
        windows=work.windows,
        conversions=work.conversions,
        macs=work.macs,
        bytes_moved=work.bytes_moved,
    )


@dataclass
class _Tally:
    """The sum over the operations of a layer."""

    work: Work = field(default_factory=Work)
    first: int = -1
    last: int = 0

    def add(self, work: Work, span: tuple[int, int]) -> None:
        self.work = self.work.plus(work)
        self.first = span[0] if self.first < 0 else min(self.first, span[0])
        self.last = max(self.last, span[1])


class _Clocks:
    """One clock a core, and the cycles in which it worked or wrote cells."""

    def __init__(self, program: Program) -> None:
        self.now = dict.fromkeys(program.cores, 0)
        self.busy = dict.fromkeys(program.cores, 0)
        self.written = dict.fromkeys(program.cores, 0)

    def write(self, core: int, cycles: int) -> None:
        """Let a core write cells: before the program's time begins."""
        self.written[core] += cycles

    def run(self, operation: Operation | Exchange, cycles: int) -> tuple[int, int]:
        """Advance the clocks of the cores concerned; returns start and end."""
        cores = tuple(_cores(operation, self.now))
        start = max(self.now[core] for core in cores)
        for core in cores:
            self.now[core] = start + cycles
            self.busy[core] += cycles
        return start, start + cycles


def _cores(operation: Operation | Exchange, all_cores: dict[int, int]) -> Iterator[int]:
    if isinstance(operation, Exchange):
        yield from (operation.send.core, operation.recv.core)
    elif isinstance(operation.instruction, Barrier):
        yield from all_cores
    else:
        yield operation.core


class _Names:
    """Layer names by instruction."""

    def __init__(self, program: Program) -> None:
        self._names = {core: [UNTRACED] * len(code) for core, code in program.cores.items()}
        # Where ranges overlap the first one counts, as in the machine's messages.
        for origin in reversed(program.origins):
            count = origin.stop - origin.start
            self._names[origin.core][origin.start : origin.stop] = [
                " + ".join(origin.nodes)
            ] * count

    def of(self, operation: Operation) -> str:
        """The layer of an operation."""
        return self._names[operation.core][operation.pc]


def _last(operation: Operation | Exchange) -> Operation:
    """The side of an exchange that counts for its layer: the receiver, which needs the data."""
    return operation.recv if isinstance(operation, Exchange) else operation
