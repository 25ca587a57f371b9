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
from .packing import Packing
from .partition import ACCUMULATOR_LIMIT, Place
from .place import CoreSpace
from .plan import MatrixPlan, Shard
from .regions import Cutter, Part
from .shares import Share

# Of the time of an input, between beginnings on one core, while there are empty ones.
_FAR = 0.1

Fits = Callable[[tuple[Node, ...]], bool]


@dataclass(frozen=True)
class Deal:
    """What products are dealt, and how freely they are placed.

    Of products in `whole_cores` so many cores stay empty until they are placed. Those on one core
    begin at most `apart` of the time of an input one after the other, while there are other cores;
    `waits` is as for `Demands`. Products in `first` are placed before all else. `teams` has those
    that are placed together, by the first of them, whose load is that of all. A `level` deal places
    each part on the core with least to do; its rows are made in runs so much `finer`. With a
    `packing` pieces lie as that says, and no array has anything of two products or copies. Without
    shares products fill one core after the other.
    """

    shares: Mapping[str, Share] = field(default_factory=dict)
    whole_cores: Mapping[str, int] = field(default_factory=dict)
    apart: float = 0.0
    waits: Mapping[str, float] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    level: bool = False
    finer: int = 1
    packing: Packing | None = None

    @property
    def slowest(self) -> float:
        """The time of the slowest product."""
        return max((share.time for share in self.shares.values()), default=0.0)


@dataclass(frozen=True)
class _Asked:
    """A part of a product that a core is to hold, in copies."""

    node: Node
    part: Part
    copies: int = 1


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
        self._array = target.array
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
        self._teams = deal.teams
        self._made: dict[str, float] = {}  # when the first rows of values are there
        self._apart = deal.apart
        self._load = 0.0  # of the group that is placed
        self._slowest = deal.slowest
        self._level = deal.level
        self._exclusive = deal.packing is not None
        packed = deal.packing.cores if deal.packing else {}
        self._packed = {name: iter(cores) for name, cores in packed.items()}
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

    @property
    def teams(self) -> tuple[tuple[str, ...], ...]:
        """Products that are placed together."""
        return tuple(self._teams.values())

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
            core: int | None = self._product(node)[0].home
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
        name = node.result.name
        if name not in self.plans:
            names = self._teams.get(name, (name,))
            share = self._shares.get(name, Share())
            groups = [self._group(names, share) for _ in range(share.groups)]
            self.plans.update(zip(names, zip(*groups, strict=True), strict=True))
            self._whole_cores.pop(name, None)
        self._check_overflow(node, self.plans[name][0].shards)
        return self.plans[name]

    def _group(self, names: Sequence[str], share: Share) -> tuple[MatrixPlan, ...]:
        """One group of cores that holds all of a product, or of each product of a team."""
        self._load = share.load
        shards = () if share.division or share.pours else self._together(names)
        several: tuple[tuple[Shard, ...], ...] = tuple((shard,) for shard in shards)
        if not shards:
            several = (self._in_parts(self._cutters[names[0]], share),)
        for core in {shard.core for shard in several[0]}:
            self._loads[core] = self._loads.get(core, 0.0) + share.load
            first, last = self._begun.get(core, (self._begins, self._begins))
            self._begun[core] = min(first, self._begins), max(last, self._begins)
        return tuple(MatrixPlan(own[0].core, own) for own in several)

    def _together(self, names: Sequence[str]) -> tuple[Shard, ...]:
        """Products that each fit a core on one; nothing where they do not."""
        asked = []
        for name in names:
            cutter, share = self._cutters[name], self._shares.get(name, Share())
            asked += [_Asked(cutter.node, part, share.copies) for part in cutter.whole() or ()]
        placed = self._placed(asked) if asked else None
        assert placed is not None or len(names) == 1
        return placed or ()

    def _placed(self, asked: Sequence[_Asked]) -> tuple[Shard, ...] | None:
        """Place parts together on the first core that has room for all."""
        nodes = _nodes_of(asked)
        for core in self._candidates(asked):
            if self._welcome(core, *nodes):
                shards = self._placed_on(core, asked)
                if shards is not None:
                    return shards
        return None

    def _arrays(self, asked: Sequence[_Asked]) -> int:
        """Arrays that parts take at least."""
        shapes = [shape for one in asked for shape in one.part.cut.shapes * one.copies]
        if self._exclusive:
            return min(len(shapes), self._target.core.arrays)
        cells = sum(rows * cols for rows, cols in shapes)
        return -(-cells // (self._array.rows * self._array.cols))

    def _placed_on(self, core: int, asked: Sequence[_Asked]) -> tuple[Shard, ...] | None:
        """Place parts together on a core; None where there is no room for all."""
        space = self._spaces.get(core, CoreSpace.empty(self._target, exclusive=self._exclusive))
        placed = _fill(space, asked)
        if placed is None:
            return None
        self._spaces[core], places = placed
        self._occupy(core, *_nodes_of(asked))
        return tuple(_shard(core, one, spots) for one, spots in zip(asked, places, strict=True))

    def _in_parts(self, cutter: Cutter, share: Share) -> tuple[Shard, ...]:
        """Place a product in parts as its share wants them."""
        if share.pours:
            return tuple(self._poured(cutter))
        pieces = cutter.divided(*share.division) if share.division else cutter.pieces()
        return self._spread_out(cutter.node, pieces)

    def _poured(self, cutter: Cutter) -> Iterator[Shard]:
        """Fill the arrays that cores have left, those with least to do first."""
        node, most, behind = cutter.node, self._target.core.arrays, None
        cores = range(self._target.chip.cores)
        for core in sorted(cores, key=lambda core: self._loads.get(core, 0.0)):
            while (free := most - self._used(core)) and self._welcome(core, node):
                part = cutter.poured(free, behind)
                if part is None:
                    return
                shards = self._placed_on(core, [_Asked(node, part)])
                if shards is None:
                    break
                yield from shards
                behind = part.span
        while (part := cutter.poured(most, behind)) is not None:
            yield from self._spread_out(node, [part])
            behind = part.span

    def _used(self, core: int) -> int:
        """Arrays of a core on which there is something."""
        return len(self._spaces[core].used) if core in self._spaces else 0

    def _spread_out(self, node: Node, pieces: Sequence[Part]) -> tuple[Shard, ...]:
        """Place pieces one after the other; an empty core takes any of them."""
        shards: list[Shard] = []
        for piece in pieces:
            placed = self._placed([_Asked(node, piece)])
            assert placed is not None
            shards += placed
        return tuple(shards)

    def _candidates(self, asked: Sequence[_Asked]) -> Iterator[int]:
        """The core in use, then earlier ones if it is the chip's last, then the next.

        Beyond the last core of the chip cores are only counted, for the error message.
        """
        if self._shares:
            node = asked[0].node
            if node.result.name in self._packed:
                yield next(self._packed[node.result.name])
            yield from self._near(self._arrays(asked), node)
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
        thing after the other; then how far its work lies apart, its load, and its number. In a
        level deal only its load counts then, and whether it has some of the node.
        """
        load = self._loads.get(core, 0.0)
        late = max(0.0, load + self._load - self._slowest)
        if self._level:
            return late, load, node in self._nodes.get(core, ()), core
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

    def _welcome(self, core: int, *nodes: Node) -> bool:
        """Whether a core may take nodes as far as memory and `spread` go."""
        there = self._nodes.get(core, [])
        if not there or nodes[0] in there:
            return True
        if self._options.spread and self._is_spread(nodes[0], there):
            return False
        return self._fits is None or self._fits((*there, *nodes))

    def _is_spread(self, node: Node, there: Sequence[Node]) -> bool:
        """Whether a product belongs elsewhere, as there are as many as a core may have."""
        products = sum(isinstance(other.op, QConv | QMatMul) for other in there)
        return isinstance(node.op, QConv | QMatMul) and self._options.spread <= products

    def _occupy(self, core: int, *nodes: Node) -> None:
        self._last = max(self._last, core)
        there = self._nodes.setdefault(core, [])
        there += [node for node in nodes if node not in there]

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


def _nodes_of(asked: Sequence[_Asked]) -> tuple[Node, ...]:
    """The products that parts are of."""
    return tuple({one.node.result.name: one.node for one in asked}.values())


def _shard(core: int, asked: _Asked, places: Sequence[Place]) -> Shard:
    span = asked.part.span
    try:
        matrix = asked.part.cut.matrix(core, places, asked.copies)
    except UnsupportedError as error:
        raise UnsupportedError(f"{asked.node.label}: {error}") from error
    return Shard(core, span.c0, span.c1, span.n0, span.n1, matrix)


def _fill(
    space: CoreSpace, asked: Sequence[_Asked]
) -> tuple[CoreSpace, list[tuple[Place, ...]]] | None:
    spots = []
    for one in asked:
        placed = space.place(one.part.cut.shapes * one.copies)
        if placed is None:
            return None
        space, places = placed
        spots.append(places)
    return space, spots
