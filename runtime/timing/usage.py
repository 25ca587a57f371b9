"""How much of their time the resources of a chip work, and what cores wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from imcc.isa.cost import CORE_UNITS, Unit
from imcc.isa.program import Program

from .core import Core, Wait
from .simulator import Simulation

_WAITS = {
    Wait.CONFLICT: "memory conflict with {}",
    Wait.UNIT: "{} busy",
    Wait.WINDOW: "window full, {}",
    Wait.ALL: "end of all before, {}",
}


@dataclass(frozen=True)
class ResourceUse:
    """One kind of resource over all inputs: busy cycles of all `count` of them together.

    `utilization` is the share of the time that they work, `peak` that of the busiest.
    """

    name: str
    count: int
    busy_cycles: int
    utilization: float
    peak: float


@dataclass(frozen=True)
class CoreUse:
    """One core over all inputs: the cycles in which any unit of it works.

    `waits` says what held the issue of its instructions up, and for how many cycles, the longest
    first.
    """

    core: int
    active_cycles: int
    waits: tuple[tuple[str, int], ...]


def resource_uses(program: Program, simulation: Simulation) -> tuple[ResourceUse, ...]:
    """The resources that the program can use; `peak` is that of one array, core or link."""
    time = max(simulation.ends)
    arrays = Counter({(m.core, t.array): 0 for m in program.matrices for t in m.tiles})
    units = {unit: dict.fromkeys(program.cores, 0) for unit in CORE_UNITS}
    if program.target.timing.t_start_ns:
        units[Unit.STARTS] = dict.fromkeys(program.cores, 0)
    for operation in simulation.operations():
        units[Unit.PORT][operation.core] += operation.count * operation.port
        if operation.starts:
            units[Unit.STARTS][operation.core] += operation.count * operation.starts
        if operation.unit is Unit.ARRAYS:
            for array in operation.arrays:
                arrays[operation.core, array] += operation.busy
        elif operation.unit not in (Unit.PORT, Unit.SYNC):
            units[operation.unit][operation.core] += operation.busy
    units.pop(Unit.ARRAYS)
    return (
        _use(Unit.ARRAYS.label, arrays.values(), time),
        *(_use(unit.label, busy.values(), time) for unit, busy in units.items()),
        _use("network links", simulation.mesh.busy.values(), time),
        _use(Unit.MEMORY.label, (simulation.memory_busy,), time),
    )


def _use(name: str, busy: Iterable[int], time: int) -> ResourceUse:
    cycles = tuple(busy)
    whole = len(cycles) * time
    share = sum(cycles) / whole if whole else 0.0
    peak = max(cycles, default=0) / time if time else 0.0
    return ResourceUse(name, len(cycles), sum(cycles), share, peak)


def core_uses(cores: Iterable[Core]) -> tuple[CoreUse, ...]:
    """The cores of the program, the busiest first."""
    uses = (CoreUse(core.number, core.active, _waits(core)) for core in cores)
    return tuple(sorted(uses, key=lambda use: (-use.active_cycles, use.core)))


def _waits(core: Core) -> tuple[tuple[str, int], ...]:
    found = [(f"data from core {peer}", cycles) for peer, cycles in core.data_waits.items()]
    found += [
        (text.format(unit.label), core.waits[wait][unit])
        for wait, text in _WAITS.items()
        for unit in Unit
    ]
    return tuple(sorted((w for w in found if w[1]), key=lambda w: (-w[1], w[0])))
