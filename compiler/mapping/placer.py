"""Filling cores: which core holds and computes what, one operation after the other.

Products are placed in topological order: on the core in use if their arrays and, as far as the
caller can tell, their feature maps fit there; else on the next core. Earlier cores are looked
at again only when there is no next one. A product that needs more than a core is cut in parts,
placed one after the other. Every other operation goes where its first operand is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imcc.isa.target import Target

from ..errors import UnsupportedError
from ..ir.graph import Node
from ..ir.ops.quantized import QConv, QMatMul
from .options import TileOptions
from .partition import ACCUMULATOR_LIMIT, Place
from .place import CoreSpace
from .plan import MatrixPlan, Shard
from .regions import Cutter, Part
from .shares import Share

# Of the time of an input, between beginnings on one core, while there are empty ones.
_FAR = 0.1

Fits = Callable[[int, tuple[Node, ...]], bool]


@dataclass(frozen=True)
class Deal:
    """What products are dealt, and how freely they are placed.

    Of products in `whole_cores` so many cores stay empty until they are placed. Those on one core
    begin at most `apart` of the time of an input one after the other, while there are other cores;
    `waits` is as for `Demands`. Products in `first` are placed before all else. Without shares
    products fill one core after the other.
    """

    shares: Mapping[str, Share] = field(default_factory=dict)
    whole_cores: Mapping[str, int] = field(default_factory=dict)
    apart: float = 0.0
    waits: Mapping[str, float] = field(default_factory=dict)
    first: tuple[str, ...] = ()

    @property
    def slowest(self) -> float:
        """The time of the slowest product."""
        return max((share.load for share in self.shares.values()), default=0.0)


class Placer:
    """Cores filled so far."""

    def __init__(
        self,
        target: Target,
        cutters: Mapping[str, Cutter],
        fits: Fits | None,
        options: TileOptions,
        deal: Deal | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> None:
        """Begin with an empty chip; `cores` says where values are that were made before."""
        deal = deal or Deal()
        self.plans: dict[str, tuple[MatrixPlan, ...]] = {}
        self.cores: dict[str, int] = dict(cores or {})
        self._target = target
        self._cutters = cutters
        self._options = options
        self._fits = fits
        self._shares = deal.shares
        self._whole_cores = dict(deal.whole_cores)  # of products that are still to be placed
        self._last = 0
        self._spaces: dict[int, CoreSpace] = {}
        self._nodes: dict[int, list[Node]] = {}
        self._loads: dict[int, float] = {}
        self._begun: dict[int, tuple[float, float]] = {}  # first and last beginning on each core
        self._waits = deal.waits
        self._made: dict[str, float] = {}  # when the first rows of values are there
        self._apart = deal.apart
        self._load = 0.0  # of the group that is placed
        self._slowest = deal.slowest
        self._first = {name: index for index, name in enumerate(deal.first)}
        self._begins = 0.0  # when the node that is placed can begin

    def add_all(self, nodes: Iterable[Node]) -> None:
        """Place nodes, each after its producers, or those first that the deal wants first."""
        last = len(self._first)
        for node in sorted(nodes, key=lambda node: self._first.get(node.results[0].name, last)):
            self.add(node)

    def strips(self) -> dict[str, int]:
        """In how many strips of columns the groups of products make their results."""
        return {n: self._shares.get(n, Share()).strips for n, p in self.plans.items() if len(p) > 1}

    def has_room(self) -> bool:
        """Whether the chip has as many cores as were filled."""
        return self._last < self._target.chip.cores

    def add(self, node: Node) -> None:
        """Place one node after its producers."""
        name = node.results[0].name
        there = max((self._made.get(operand.name, 0.0) for operand in node.operands), default=0.0)
        self._begins = there + self._waits.get(name, 0.0) * self._slowest
        part = self._shares.get(name, Share()).part
        self._made.update((result.name, self._begins + part) for result in node.results)
        if isinstance(node.op, QConv | QMatMul):
            plans = self._product(node)
            self.plans[node.result.name] = plans
            core: int | None = plans[0].home
        else:
            core = self._vector(node)
        if core is not None:
            self.cores.update((result.name, core) for result in node.results)

    @property
    def busiest(self) -> float:
        """The time of products on the core with most of it."""
        return max(self._loads.values(), default=0.0)

    @property
    def cores_filled(self) -> int:
        """Cores that are needed."""
        return self._last + 1

    def _product(self, node: Node) -> tuple[MatrixPlan, ...]:
        cutter = self._cutters[node.result.name]
        share = self._shares.get(node.result.name, Share())
        whole = cutter.whole()
        plans = tuple(self._group(node, cutter, whole, share) for _ in range(share.groups))
        self._whole_cores.pop(node.result.name, None)
        self._check_overflow(node, plans[0].shards)
        return plans

    def _group(
        self, node: Node, cutter: Cutter, whole: Sequence[Part] | None, share: Share
    ) -> MatrixPlan:
        """One group of cores that holds all of a product."""
        self._load = share.load
        shards = None if whole is None else self._placed(node, whole, share.copies)
        if shards is None:
            shards = self._spread_out(node, cutter.pieces())
        home = shards[0].core
        for core in {shard.core for shard in shards}:
            self._loads[core] = self._loads.get(core, 0.0) + share.load
            first, last = self._begun.get(core, (self._begins, self._begins))
            self._begun[core] = min(first, self._begins), max(last, self._begins)
        return MatrixPlan(home, shards)

    def _placed(
        self, node: Node, parts: Sequence[Part], copies: int = 1
    ) -> tuple[Shard, ...] | None:
        """Place parts together on the first core that has room for all."""
        cells = sum(rows * cols for part in parts for rows, cols in part.cut.shapes)
        array = self._target.array
        for core in self._candidates(-(-cells * copies // (array.rows * array.cols)), node):
            if not self._welcome(core, node):
                continue
            space = self._spaces.get(core, CoreSpace.empty(self._target))
            placed = _fill(space, parts, copies)
            if placed is not None:
                self._spaces[core], places = placed
                self._occupy(core, node)
                return tuple(
                    _shard(node, core, part, spots, copies)
                    for part, spots in zip(parts, places, strict=True)
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

    def _candidates(self, arrays: int, node: Node) -> Iterator[int]:
        """The core in use, then earlier ones if it is the chip's last, then the next.

        Beyond the last core of the chip cores are only counted, for the error message.
        """
        if self._shares:
            yield from self._near(arrays, node)
            return
        yield self._last
        if self._last + 1 == self._target.chip.cores:
            yield from range(self._last)
        yield self._last + 1

    def _near(self, arrays: int, node: Node) -> Iterator[int]:
        """Cores that have so many arrays left, those with work of the same time first.

        A core runs its instructions in order: work of a late layer would wait on it for that of
        an early one, and the next input for both. So an empty core comes before one whose work
        lies far apart; but not the last ones, while products that fill a core are still to come.
        """
        most, cores = self._target.core.arrays, self._target.chip.cores
        used = {core: len(space.used) for core, space in self._spaces.items()}
        room = [
            core
            for core in range(cores)
            if used.get(core, 0) + arrays <= most and self._gap(core, node) <= self._apart
        ]
        kept = 2 * arrays <= most and cores - len(used) <= sum(self._whole_cores.values())
        yield from sorted(room, key=lambda c: (kept and c not in used, *self._distance(c, node)))
        yield max(cores, self._last + 1)

    def _distance(self, core: int, node: Node) -> tuple[float, float, float, int]:
        """How little a core suits the node to be placed.

        First counts by how much it would be slower than the slowest product, as a core does one
        thing after the other; then how far its work lies apart, its load, and its number.
        """
        load = self._loads.get(core, 0.0)
        late = max(0.0, load + self._load - self._slowest)
        return late, self._gap(core, node), load, core

    def _gap(self, core: int, node: Node) -> float:
        """Between the beginnings of what is on a core and the node, in times of an input.

        Groups of one product are to work side by side: another core is better than the same.
        """
        if core not in self._begun:
            return _FAR
        if node in self._nodes[core]:
            return 1.5 * _FAR
        first, last = self._begun[core]
        apart = max(last, self._begins) - min(first, self._begins)
        return apart / self._slowest if self._slowest else 0.0

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


def _shard(node: Node, core: int, part: Part, places: Sequence[Place], copies: int) -> Shard:
    span = part.span
    try:
        matrix = part.cut.matrix(core, places, copies)
    except UnsupportedError as error:
        raise UnsupportedError(f"{node.label}: {error}") from error
    return Shard(core, span.c0, span.c1, span.n0, span.n1, matrix)


def _fill(
    space: CoreSpace, parts: Sequence[Part], copies: int
) -> tuple[CoreSpace, list[tuple[Place, ...]]] | None:
    spots = []
    for part in parts:
        placed = space.place(part.cut.shapes * copies)
        if placed is None:
            return None
        space, places = placed
        spots.append(places)
    return space, spots
