"""Placing a network in stages: each has the whole chip, and follows the one before it.

A stage has some products that follow each other in the graph. Every other operation belongs to the
stage of the last product before it on any way. `stages` finds the cut; where a stage of it does not
pack, for want of arrays that lie together or of local memory, the cut is sought again without it.
A stage prefers cores that the one before leaves free: there its weights are written meanwhile.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from imcc.isa.target import Target

from ..errors import CapacityError
from ..ir.graph import Graph, Node
from ..ir.op import Op
from ..ir.ops.quantized import QConv, QMatMul
from .deals import deals, different
from .options import TileOptions
from .placer import Deal, Fits, Placer
from .plan import MatrixPlan
from .regions import Cutter
from .shares import Demands, Room
from .stages import Cells, Cost, StageCosts, best_cuts

# Of the arrays that a stage is given, what its products are dealt where all does not pack.
_PARTS = (0.8, 0.6, 0.4)


@dataclass(frozen=True, eq=False)
class Mapped:
    """Plans of products and cores of values, by name.

    Where products have several groups, `strips` says how many strips of columns these make, and
    `stages` has the stage of each value where there are several. `teams` are products that the
    same cores hold, with their parts in the same order. `finer` is as for a deal.
    """

    plans: Mapping[str, tuple[MatrixPlan, ...]]
    cores: Mapping[str, int]
    strips: Mapping[str, int]
    stages: Mapping[str, int]
    teams: tuple[tuple[str, ...], ...] = ()
    finer: int = 1


class Staging:
    """The search for stages of one network."""

    def __init__(
        self,
        graph: Graph,
        target: Target,
        cutters: Mapping[str, Cutter],
        fits: Fits | None,
        options: TileOptions,
        demands: Demands | None,
    ) -> None:
        self._target = target
        self._cutters = cutters
        self._fits = fits
        self._options = options
        self._graph = graph
        self._levels = levels(graph, QConv, QMatMul)
        cells = [Cells.of(cutter) for cutter in cutters.values()]
        self._costs = StageCosts(target, cells, demands and demands.in_stages())
        self._reach: dict[int, int] = {}  # behind the last product that goes with this first one

    def mapped(self) -> Mapped:
        """All stages, placed. Raises `CapacityError` where one product does not fit the chip."""
        while True:
            starts = best_cuts(len(self._cutters), self._cost)
            if starts is None:
                raise self._too_small()
            placed = self._placed([*starts, len(self._cutters)])
            if placed is not None:
                return placed

    def _cost(self, first: int, last: int) -> Cost | None:
        if any(last > end for start, end in self._reach.items() if start >= first):
            return None
        if self._costs.demands is None and first not in self._reach:
            self._reach[first] = self._extent(first)
            return self._cost(first, last)
        return self._costs.cost(first, last)

    def _extent(self, first: int) -> int:
        """Behind the last product that fits the chip together with those from `first` on."""
        placer = self._placer(Deal(), {})
        for last in range(first, len(self._cutters)):
            placer.add_all(self._nodes(last, last + 1))
            if not placer.has_room():
                return last
        return len(self._cutters)

    def _placed(self, edges: Sequence[int]) -> Mapped | None:
        """The stages between these edges; None where one does not pack, which is noted."""
        plans: dict[str, tuple[MatrixPlan, ...]] = {}
        cores: dict[str, int] = {}
        strips: dict[str, int] = {}
        order = tuple(range(self._target.chip.cores))
        for first, last in pairwise(edges):
            number = {core: index for index, core in enumerate(order)}
            placer = self._stage(first, last, {name: number[core] for name, core in cores.items()})
            if placer is None:
                self._reach[first] = last - 1
                return None
            own = {
                name: tuple(plan.moved(order.__getitem__) for plan in several)
                for name, several in placer.plans.items()
            }
            plans.update(own)
            strips.update(placer.strips())
            cores = {name: order[core] for name, core in placer.cores.items()}
            order = _others_first(order, own)
        stages = {
            value.name: max(0, bisect_right(edges, level) - 1)
            for node, level in zip(self._graph.nodes, self._levels, strict=True)
            for value in node.results
        }
        return Mapped(plans, cores, strips, stages if len(edges) > 2 else {})

    def _stage(self, first: int, last: int, cores: Mapping[str, int]) -> Placer | None:
        for deal in chain(self._deals(first, last), (Deal(),)):
            placer = self._placer(deal, cores)
            placer.add_all(self._nodes(first, last))
            if placer.has_room():
                return placer
        return None

    def _deals(self, first: int, last: int) -> Iterator[Deal]:
        """Ways to deal out the chip to a stage: the best shares, less than that, each once."""
        if self._costs.demands is None:
            return
        choice = self._costs.choice(first, last)
        assert choice is not None
        own = self._costs.demands.between(first, last)
        room = Room(self._target.chip.cores, self._target.core.arrays)
        used = sum(one.used(choice[1][one.name], room) for one in own.products) / room.total
        less = different(own, (replace(room, part=used * part) for part in _PARTS))
        yield from deals(own, room, [choice[1], *(other for other in less if other != choice[1])])

    def _placer(self, deal: Deal, cores: Mapping[str, int]) -> Placer:
        options = TileOptions() if deal.shares else self._options
        return Placer(self._target, self._cutters, self._fits, options, deal, cores)

    def _nodes(self, first: int, last: int) -> list[Node]:
        """The operations of products [first, last) and behind them, product after product."""
        own = [
            (level, index)
            for index, level in enumerate(self._levels)
            if first <= level < last or (level < 0 and not first)
        ]
        return [self._graph.nodes[index] for _, index in sorted(own)]

    def _too_small(self) -> CapacityError:
        """What to say where products do not fit the chip alone."""
        target = self._target
        have = target.chip.cores * target.core.arrays
        lines = [
            self._alone(cutter, have)
            for index, cutter in enumerate(self._cutters.values())
            if self._cost(index, index + 1) is None
        ]
        return CapacityError("\n".join([*lines, ADVICE]))

    def _alone(self, cutter: Cutter, have: int) -> str:
        """What a product takes: at least its cells, or whole cores where it is spread."""
        target, array = self._target, self._target.array
        outputs = cutter.node.operands[1].type.shape[isinstance(cutter.product, QMatMul)]
        needed = -(-cutter.least_cells() // (array.rows * array.cols))
        if needed <= have:
            placer = Placer(target, self._cutters, None, TileOptions())
            placer.add(cutter.node)
            needed = placer.cores_filled * target.core.arrays
        one = -(-cutter.least_cells() // (array.rows * array.cols * outputs))
        return (
            f"{cutter.node.label}: its weights need {needed:,} arrays of {array.rows} x "
            f"{array.cols} cells, target '{target.name}' has {have:,}: {needed - have:,} short. "
            f"Weights are reloaded, but those of one output are there together: at least {one:,} "
            "arrays."
        )


def _others_first(
    order: Sequence[int], plans: Mapping[str, tuple[MatrixPlan, ...]]
) -> tuple[int, ...]:
    """Cores for the next stage: first those that this one leaves free to be written meanwhile."""
    used = {core for several in plans.values() for plan in several for core in plan.cores()}
    return tuple(sorted(order, key=lambda core: (core in used, core)))


ADVICE = (
    "Use a larger chip (--set chip.mesh_rows=..., core.arrays=..., array.rows=..., "
    "array.cols=...) or fewer weight bits (--weight-bits)"
)


def levels(graph: Graph, *begin: type[Op]) -> tuple[int, ...]:
    """For each node the number of the last of some operators that it depends on, or is.

    -1 stands for none.
    """
    found: dict[str, int] = {}
    own, count = [], 0
    for node in graph.nodes:
        level = max((found.get(operand.name, -1) for operand in node.operands), default=-1)
        if isinstance(node.op, begin):
            level, count = count, count + 1
        own.append(level)
        found.update((value.name, level) for value in node.results)
    return tuple(own)
