"""What each layer takes, summed over the static operations that come from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from imcc.isa.cost import Unit, Work, energy_pj
from imcc.isa.instructions import Mvm
from imcc.isa.program import Program
from imcc.isa.target import Target

from .static import StaticOperation

UNTRACED = "(no node)"
"""Name of the layer of instructions that come from no ONNX node."""


@dataclass(frozen=True)
class LayerCost:
    """What the instructions of one layer take for one input.

    `name` joins the ONNX nodes with " + ". `cycles` counts the cycles from issue to end, added
    over instructions that run side by side; `network_cycles` of them are transfers, which count
    once, for the layer that receives. The first instruction starts at cycle `first` of the
    program and the last ends at `last`. `array_utilization` is the share of the time from its
    first product to its last in which the arrays of the layer work. `bottleneck` is what held
    its instructions up for most cycles. `bytes_moved` counts bytes read and written, and bytes
    sent, once a hop.
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
    network_cycles: int
    array_utilization: float
    bottleneck: str | None


class Names:
    """Layer names by instruction."""

    def __init__(self, program: Program) -> None:
        self._names = {core: [UNTRACED] * len(code) for core, code in program.cores.items()}
        # Where ranges overlap the first one counts, as in the machine's messages.
        for origin in reversed(program.origins):
            count = origin.stop - origin.start
            self._names[origin.core][origin.start : origin.stop] = [
                " + ".join(origin.nodes)
            ] * count

    def of(self, operation: StaticOperation) -> str:
        """The layer of an operation."""
        return self._names[operation.core][operation.pc]


@dataclass
class Tally:
    """The sum over the operations of a layer."""

    work: Work = field(default_factory=Work)
    first: int = -1
    last: int = 0
    spent: list[int] = field(default_factory=lambda: [0] * len(Unit))
    network: int = 0
    array_cycles: int = 0
    arrays: set[tuple[int, int]] = field(default_factory=set)
    products: tuple[int, int] | None = None

    def add(self, operation: StaticOperation) -> None:
        """Count an operation as often as it ran for the first input."""
        self.work = self.work.plus(operation.work.times(operation.done))
        for sent, times in operation.sends.items():
            self.work = self.work.plus(sent.work.times(times))
        self.spent = [a + b for a, b in zip(self.spent, operation.spent, strict=True)]
        self.first = operation.first if self.first < 0 else min(self.first, operation.first)
        self.last = max(self.last, operation.last)
        if operation.unit is Unit.IN:
            self.network += sum(operation.spent)
        if isinstance(operation.instruction, Mvm):
            self._add_product(operation)

    def _add_product(self, operation: StaticOperation) -> None:
        first, last = self.products or (operation.first, operation.last)
        self.products = min(first, operation.first), max(last, operation.last)
        self.array_cycles += sum(operation.spent) * len(operation.arrays)
        self.arrays.update((operation.core, array) for array in operation.arrays)

    def cost(self, name: str, target: Target) -> LayerCost:
        """The sums under the name of the layer."""
        first, last = self.products or (0, 0)
        work, held = self.work, len(self.arrays) * (last - first)
        most = max(Unit, key=self.spent.__getitem__)
        return LayerCost(
            name=name,
            cycles=sum(self.spent),
            first=self.first,
            last=self.last,
            energy_pj=energy_pj(work, target.energy),
            windows=work.windows,
            conversions=work.conversions,
            macs=work.macs,
            bytes_moved=work.bytes_moved,
            network_cycles=self.network,
            array_utilization=self.array_cycles / held if held else 0.0,
            bottleneck=most.label if self.spent[most] else None,
        )


def tallies(program: Program, operations: Iterable[StaticOperation]) -> dict[str, Tally]:
    """Sum up by layer; operations that the first input did not run count nowhere."""
    names, found = Names(program), dict[str, Tally]()
    for operation in operations:
        if operation.done:
            found.setdefault(names.of(operation), Tally()).add(operation)
    return dict(sorted(found.items(), key=lambda item: item[1].last))
