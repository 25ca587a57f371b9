"""From a quantized graph to a tiled graph: which core holds and computes what.

Products are placed in topological order: on the core in use if their arrays and, as far as the
caller can tell, their feature maps fit there; else on the next core. Earlier cores are looked
at again only when there is no next one. A product that needs more than a core is cut in parts,
placed one after the other. Every other operation goes where its first operand is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from imcc.isa.target import Target

from ..errors import CapacityError, UnsupportedError
from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.tiled import Product, Tiled
from .options import AdcPolicy, TileOptions
from .partition import ACCUMULATOR_LIMIT, Place
from .place import CoreSpace
from .plan import MatrixPlan, Shard
from .regions import Cutter, Part
from .tiled_graph import TiledGraph, complete_cores

_ADVICE = (
    "Use a larger chip (--set chip.mesh_rows=..., core.arrays=..., array.rows=..., "
    "array.cols=...) or fewer weight bits (--weight-bits)"
)

Fits = Callable[[int, tuple[Node, ...]], bool]


def tile(
    graph: Graph,
    target: Target,
    options: TileOptions | None = None,
    fits: Fits | None = None,
) -> TiledGraph:
    """Place every product of a quantized graph on the arrays of `target`.

    ``fits(core, nodes)`` says whether the operations of a core (those already there and one
    more) fit its local memory; a core with nothing on it takes any operation.

    Raises `CapacityError` where the network is larger than the chip, `UnsupportedError` where a
    product has no constant weights or could overflow its accumulators.
    """
    _check_cells(graph, target)
    placer = _Placer(graph, target, options or TileOptions(), fits)
    for node in graph.nodes:
        placer.add(node)
    placer.check_capacity()

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        plan = placer.plans.get(node.results[0].name)
        if plan is None or not isinstance(node.op, QConv | QMatMul):
            return None
        return builder.add(Tiled(node.op, plan), operands, node.result.name, node.origin)

    return TiledGraph(rebuild(graph, rule), target, complete_cores(graph, placer.cores))


def _check_cells(graph: Graph, target: Target) -> None:
    """Raise `CapacityError` if the weights need more cells than the chip has, however packed."""
    cells = sum(
        Cutter(node, node.op, weight, target, AdcPolicy.SATURATING).least_cells()
        for node in graph.nodes
        if isinstance(node.op, QConv | QMatMul)
        and (weight := graph.constant(node.operands[1])) is not None
    )
    have = target.chip.cores * target.core.arrays
    arrays = -(-cells // (target.array.rows * target.array.cols))
    if arrays > have:
        raise CapacityError(
            f"the network needs at least {arrays:,} arrays of {target.array.rows} x "
            f"{target.array.cols} cells, target '{target.name}' has {have:,}: "
            f"{arrays - have:,} short. {_ADVICE}"
        )


class _Placer:
    """Cores filled so far."""

    def __init__(
        self, graph: Graph, target: Target, options: TileOptions, fits: Fits | None
    ) -> None:
        self.plans: dict[str, MatrixPlan] = {}
        self.cores: dict[str, int] = {}
        self._graph = graph
        self._target = target
        self._options = options
        self._fits = fits
        self._last = 0
        self._spaces: dict[int, CoreSpace] = {}
        self._nodes: dict[int, list[Node]] = {}

    def add(self, node: Node) -> None:
        """Place one node after its producers."""
        if isinstance(node.op, QConv | QMatMul):
            plan = self._product(node, node.op)
            self.plans[node.result.name] = plan
            core: int | None = plan.home
        else:
            core = self._vector(node)
        if core is not None:
            self.cores.update((result.name, core) for result in node.results)

    def check_capacity(self) -> None:
        """Raise `CapacityError` if more cores were filled than the chip has."""
        used, target = self._last + 1, self._target
        if used <= target.chip.cores:
            return
        arrays = sum(len(space.used) for space in self._spaces.values())
        have = target.chip.cores * target.core.arrays
        raise CapacityError(
            f"the network needs {used:,} cores ({arrays:,} arrays of {target.array.rows} x "
            f"{target.array.cols} cells); target '{target.name}' has {target.chip.cores:,} "
            f"({have:,} arrays): {used - target.chip.cores:,} short. {_ADVICE}"
        )

    def _product(self, node: Node, product: Product) -> MatrixPlan:
        weight = self._graph.constant(node.operands[1])
        if weight is None:
            raise UnsupportedError(
                f"{node.label}: its weights are computed; arrays hold constant weights only"
            )
        cutter = Cutter(node, product, weight, self._target, self._options.adc)
        whole = cutter.whole()
        shards = None if whole is None else self._placed(node, whole)
        if shards is None:
            shards = self._spread_out(node, cutter.pieces())
        self._check_overflow(node, shards)
        return MatrixPlan(shards[0].core, shards)

    def _placed(self, node: Node, parts: Sequence[Part]) -> tuple[Shard, ...] | None:
        """Place parts together on the first core that has room for all."""
        for core in self._candidates():
            if not self._welcome(core, node):
                continue
            placed = _fill(self._spaces.get(core, CoreSpace.empty(self._target)), parts)
            if placed is not None:
                self._spaces[core], places = placed
                self._occupy(core, node)
                return tuple(
                    _shard(node, core, p, spots) for p, spots in zip(parts, places, strict=True)
                )
        return None

    def _spread_out(self, node: Node, pieces: Sequence[Part]) -> tuple[Shard, ...]:
        """Place pieces one after the other; an empty core takes any of them."""
        shards: list[Shard] = []
        for piece in pieces:
            placed = self._placed(node, [piece])
            assert placed is not None
            shards += placed
        return tuple(shards)

    def _candidates(self) -> Iterator[int]:
        """The core in use, then earlier ones if it is the chip's last, then the next.

        Beyond the last core of the chip cores are only counted, for the error message.
        """
        yield self._last
        if self._last + 1 == self._target.chip.cores:
            yield from range(self._last)
        yield self._last + 1

    def _welcome(self, core: int, node: Node) -> bool:
        """Whether a core may take a node as far as memory and `spread` go."""
        there = self._nodes.get(core, [])
        if not there or node in there:
            return True
        products = sum(isinstance(other.op, QConv | QMatMul) for other in there)
        if isinstance(node.op, QConv | QMatMul) and 0 < self._options.spread <= products:
            return False
        return self._fits is None or self._fits(core, (*there, node))

    def _occupy(self, core: int, node: Node) -> None:
        self._last = max(self._last, core)
        there = self._nodes.setdefault(core, [])
        if node not in there:
            there.append(node)

    def _vector(self, node: Node) -> int | None:
        """The core of the first operand, or the next with room; None before any product."""
        known = [self.cores[v.name] for v in node.operands if v.name in self.cores]
        if not known:
            return None
        choices = [known[0], self._last]
        if self._last + 1 < self._target.chip.cores:
            choices.append(self._last + 1)
        core = next((c for c in choices if self._welcome(c, node)), known[0])
        self._occupy(core, node)
        return core

    def _check_overflow(self, node: Node, shards: Sequence[Shard]) -> None:
        """The sum of partial sums must fit an accumulator too."""
        for n0, n1 in {(shard.n0, shard.n1) for shard in shards}:
            total = sum(s.matrix.bound for s in shards if (s.n0, s.n1) == (n0, n1))
            if total >= ACCUMULATOR_LIMIT:
                raise UnsupportedError(
                    f"{node.label}: partial sums can add up to {total:,}, and accumulators have "
                    "32 bits; use fewer weight bits or activation bits"
                )


def _shard(node: Node, core: int, part: Part, places: Sequence[Place]) -> Shard:
    span = part.span
    try:
        matrix = part.cut.matrix(core, places)
    except UnsupportedError as error:
        raise UnsupportedError(f"{node.label}: {error}") from error
    return Shard(core, span.c0, span.c1, span.n0, span.n1, matrix)


def _fill(
    space: CoreSpace, parts: Sequence[Part]
) -> tuple[CoreSpace, list[tuple[Place, ...]]] | None:
    spots = []
    for part in parts:
        placed = space.place(part.cut.shapes)
        if placed is None:
            return None
        space, places = placed
        spots.append(places)
    return space, spots
