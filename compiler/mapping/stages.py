"""Cutting a network that is larger than its chip in stages, whose weights are written in turn.

Before each stage its weights are written over those of the stages before. What a cut costs, for
one input, is the sum over its stages of

- the time of the stage: with the shares of its products (`shares`) that the chip has room for, the
  slowest of them, and one part of each of the others until that has something to do; four times
  as long, since cores wait for each other (most simulated stages take 1.2 to 5 times as long;
  docs/decisions/0013 has what other factors make). Where products lie on the chip once and run
  one after the other, all cuts take the same time for that, and it is left out;
- the time to write: cores side by side, each as many arrays at once as instructions can be under
  way, and all bytes through the one global memory:
  ``max(rows * t_write_row_ns / (cores * min(issue_window, arrays)), bytes / bandwidth)``. More
  copies make a stage faster and its writing slower: of several shares of the chip the best is
  taken;
- then the energy to write, ``cells * e_write_cell_pj + bytes * e_global_byte_pj``; then the number
  of stages.

Time counts first, then energy, then stages; `best_cuts` has the least of them by dynamic
programming over the products in topological order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from imcc.isa.cells import packed_bytes
from imcc.isa.target import Target

from .regions import Cutter
from .shares import Demands, Room, Share
from .stage_shares import StageShares

_NS_PER_US = 1000.0
_WAITING = 4.0  # how much longer a stage takes than its slowest product

# Of the arrays of a chip, what the products of a stage may be dealt copies of.
_DEALT = (1.0, 0.5, 0.25, 0.125)


@dataclass(frozen=True, order=True)
class Cost:
    """What stages take for one input: ns, then pJ, then how many stages there are.

    All are whole, rounded up, so that sums do not depend on their order.
    """

    time: int = 0
    energy: int = 0
    stages: int = 0

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(self.time + other.time, self.energy + other.energy, self.stages + other.stages)


def best_cuts(count: int, cost: Callable[[int, int], Cost | None]) -> tuple[int, ...] | None:
    """Where the stages of `count` products begin, for the least cost of all.

    ``cost(first, last)`` is that of a stage with products [first, last), None where the chip has
    no room for it: then it has none for a stage with more products either. The result is None
    where no cut has room.
    """
    best: list[tuple[Cost, int] | None] = [(Cost(), 0)]
    for last in range(1, count + 1):
        best.append(_best_end(best, last, cost))
    if best[count] is None:
        return None
    starts = []
    while count:
        ending = best[count]
        assert ending is not None
        count = ending[1]
        starts.append(count)
    return tuple(reversed(starts))


def _best_end(
    best: Sequence[tuple[Cost, int] | None],
    last: int,
    cost: Callable[[int, int], Cost | None],
) -> tuple[Cost, int] | None:
    """The least cost of the first `last` products, and where its last stage begins."""
    found: tuple[Cost, int] | None = None
    for first in range(last - 1, -1, -1):
        own = cost(first, last)
        if own is None:
            return found
        before = best[first]
        if before is not None and (found is None or before[0].plus(own) < found[0]):
            found = before[0].plus(own), first
    return found


@dataclass(frozen=True)
class Cells:
    """What writing a product once takes: rows of cells, cells, bytes of levels."""

    rows: int
    cells: int
    bytes: int

    @classmethod
    def of(cls, cutter: Cutter) -> Cells:
        """Those of all rectangles of a product."""
        parts = cutter.whole() or cutter.pieces()
        shapes = [shape for part in parts for shape in part.cut.shapes]
        bits = cutter.target.array.cell_bits
        return cls(
            sum(rows for rows, _ in shapes),
            sum(rows * cols for rows, cols in shapes),
            sum(rows * packed_bytes(cols, bits) for rows, cols in shapes),
        )


def write_cost(target: Target, written: Sequence[tuple[Cells, int]]) -> Cost:
    """Time and energy to write products as often as each is held."""
    rows = sum(cells.rows * times for cells, times in written)
    size = sum(cells.bytes * times for cells, times in written)
    count = sum(cells.cells * times for cells, times in written)
    timing, energy = target.timing, target.energy
    at_once = target.chip.cores * min(target.core.issue_window, target.core.arrays)
    bandwidth = timing.global_bytes_per_cycle * timing.clock_mhz / _NS_PER_US
    return Cost(
        ceil(max(rows * timing.t_write_row_ns / at_once, size / bandwidth)),
        ceil(count * energy.e_write_cell_pj + size * energy.e_global_byte_pj),
    )


@dataclass(frozen=True, eq=False)
class StageCosts:
    """Costs of stages of products, in topological order, by what they ask for.

    Without `demands` each product is held once.
    """

    target: Target
    cells: Sequence[Cells]
    demands: Demands | None

    def cost(self, first: int, last: int) -> Cost | None:
        """The cost of a stage with the best shares; None where the chip has too few arrays.

        Of one product it is not known before it is placed.
        """
        if self.demands is None:
            return self._cost(first, last, [1] * (last - first), 0.0)
        best = self._best(first, last)
        if best is not None:
            return best[0]
        alone = self.choice(first, last) if last - first == 1 else None
        return None if alone is None else alone[0]

    def choice(self, first: int, last: int) -> tuple[Cost, Mapping[str, Share]] | None:
        """The cost of a stage, and the shares of its products that it takes."""
        assert self.demands is not None
        best = self._best(first, last)
        if best is not None:
            cost, number = best
            return cost, self._shares.shares(first, last, number)
        if last - first > 1:
            return None
        own = self.demands.products[first]  # parts of it may share cores: placing it will tell
        return self._cost(first, last, [1], own.time(Share())), {own.name: Share()}

    def _best(self, first: int, last: int) -> tuple[Cost, int] | None:
        """The cost of a stage, and the number of its shares; None without room."""
        if (first, last) not in self._found:
            found = {self._shares.best(first, last, part) for part in _DEALT}
            numbers = sorted(number for number in found if number is not None)
            if numbers:
                numbers.append(self._shares.no_limit)
            choices = [(self._dealt(first, last, number), number) for number in numbers]
            self._found[first, last] = min(choices, default=None)
        return self._found[first, last]

    @cached_property
    def _found(self) -> dict[tuple[int, int], tuple[Cost, int] | None]:
        return {}

    @cached_property
    def _shares(self) -> StageShares:
        assert self.demands is not None
        chip = Room(self.target.chip.cores, self.target.core.arrays)
        return StageShares(self.demands, chip)

    def _dealt(self, first: int, last: int, number: int) -> Cost:
        held = self._shares.held(first, last, number).tolist()
        return self._cost(first, last, held, self._shares.pipelined(first, last, number))

    def _cost(self, first: int, last: int, held: Sequence[int], time: float) -> Cost:
        written = write_cost(self.target, list(zip(self.cells[first:last], held, strict=True)))
        return written.plus(Cost(ceil(_WAITING * time), 0, 1))
