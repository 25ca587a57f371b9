"""The profile of a program: when each layer runs, and what it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imcc.isa.cost import Work, energies, energy_pj
from imcc.isa.program import Program

from .critical import critical_path
from .layers import LayerCost, tallies
from .power import Parts, area_mm2, leakage_mw
from .simulator import Simulation
from .usage import CoreUse, ResourceUse, core_uses, resource_uses

_PJ_PER_UJ = 1e6
DEFAULT_INPUTS = 5
"""Inputs in a row that show a steady state: a pipeline fills while the first goes through."""


@dataclass(frozen=True)
class SetupCost:
    """What writing all cells takes, once before the first input; cores write side by side."""

    cycles: int
    energy_pj: float
    cells: int


@dataclass(frozen=True)
class Profile:
    """What a program takes on its target, from `inputs` inputs in a row.

    With several `phases` inputs pass one phase a round: the simulated inputs are rounds in which
    every phase works, the latency is that of as many rounds as the first, and layers begin and end
    in their round. With `lags` as many more inputs follow, so that all operations take part in
    every round in which one of the `inputs` ends; `resources`, `cores` and `total_cycles` are over
    these as well.

    `layers` come in the order in which they end, for the first input. `latency_cycles` is the
    end of the first input while others follow it, `interval_cycles` the time between the ends of
    the last two that others follow, of two inputs that between them, and of one the latency;
    `total_cycles` is the end of the last.
    `components` splits the energy of one input by part of the chip, in pJ, without leakage.
    `leakage_mw` is the power that the cores of the program leak, `leakage_uj` what that makes
    until the end of the first input, `interval_leakage_uj` in an interval. `area_mm2` is that of
    the whole chip. Both are empty where the target has no figures. `critical_path` splits the
    latency by what it was spent on. `resources` and `cores` (the busiest first) are over all
    inputs.
    """

    target: str
    inputs: int
    phases: int
    lags: int
    layers: tuple[LayerCost, ...]
    setup: SetupCost
    latency_cycles: int
    latency_us: float
    interval_cycles: int
    interval_us: float
    inputs_per_second: float
    total_cycles: int
    energy_uj: float
    components: Parts
    leakage_mw: Parts
    leakage_uj: float
    interval_leakage_uj: float
    area_mm2: Parts
    critical_path: tuple[tuple[str, int], ...]
    resources: tuple[ResourceUse, ...]
    cores: tuple[CoreUse, ...]

    @property
    def macs(self) -> int:
        """Multiplications with weights on cells, also with zeros there.

        These are between the groups of a convolution, and beside the kernels of parallel windows.
        """
        return sum(layer.macs for layer in self.layers)

    @property
    def conversions(self) -> int:
        """Conversions of all converters."""
        return sum(layer.conversions for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Busy cycles of all layers."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def tops_per_watt(self) -> float:
        """Operations (two a multiplication) per pJ without leakage; 0 where none is counted."""
        return 2 * self.macs / (self.energy_uj * _PJ_PER_UJ) if self.energy_uj else 0.0


def profile(program: Program, inputs: int = DEFAULT_INPUTS) -> Profile:
    """Simulate a valid program for some inputs in a row, without data.

    Raises `ValidationError` where cores wait for each other for ever.
    """
    simulation = Simulation(program, inputs + program.lags)
    simulation.run()
    return profile_of(program, simulation)


def profile_of(program: Program, simulation: Simulation) -> Profile:
    """Sum up a simulation that has run."""
    target, inputs = program.target, simulation.inputs - program.lags
    ends = simulation.ends[:inputs]
    mhz = target.timing.clock_mhz
    found = tallies(program, simulation.operations())
    components = energies(_total(tally.work for tally in found.values()), target.energy)
    latency, interval = ends[0] * program.phases, _interval(ends)
    leakage = leakage_mw(target, len(program.cores))
    milliwatts = math.fsum(power for _, power in leakage)
    return Profile(
        target=target.name,
        inputs=inputs,
        phases=program.phases,
        lags=program.lags,
        layers=tuple(tally.cost(name, target) for name, tally in found.items()),
        setup=_setup(program, simulation),
        latency_cycles=latency,
        latency_us=latency / mhz,
        interval_cycles=interval,
        interval_us=interval / mhz,
        inputs_per_second=mhz * 1e6 / interval if interval else 0.0,
        total_cycles=simulation.ends[-1],
        energy_uj=math.fsum(value for _, value in components) / _PJ_PER_UJ,
        components=components,
        leakage_mw=leakage,
        leakage_uj=milliwatts * latency / mhz / 1e3,
        interval_leakage_uj=milliwatts * interval / mhz / 1e3,
        area_mm2=area_mm2(target),
        critical_path=_path(simulation, program.phases),
        resources=resource_uses(program, simulation),
        cores=core_uses(simulation.cores.values()),
    )


def _interval(ends: Sequence[int]) -> int:
    """The time between two inputs; the last one, which nothing follows, is quicker than others."""
    steady = ends[:-1] if len(ends) > 2 else ends
    return steady[-1] - (steady[-2] if len(steady) > 1 else 0)


def _path(simulation: Simulation, rounds: int) -> tuple[tuple[str, int], ...]:
    last = simulation.finals[0]
    parts = () if last is None else critical_path(last)
    return tuple((unit.label, cycles * rounds) for unit, cycles in parts)


def _setup(program: Program, simulation: Simulation) -> SetupCost:
    written = {n: _total(o.work for o in core.code.setup) for n, core in simulation.cores.items()}
    total = _total(written.values())
    cycles = max((work.cycles for work in written.values()), default=0)
    return SetupCost(cycles, energy_pj(total, program.target.energy), total.cells)


def _total(works: Iterable[Work]) -> Work:
    total = Work()
    for work in works:
        total = total.plus(work)
    return total
