"""From a quantized graph to a tiled graph: which core holds and computes what.

Products are placed in topological order: on the core in use if their arrays and, as far as the
caller can tell, their feature maps fit there; else on the next core. Earlier cores are looked
at again only when there is no next one. A product that needs more than a core is cut in parts,
placed one after the other. Every other operation goes where its first operand is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from imcc.isa.target import Target

from ..errors import CapacityError, UnsupportedError
from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.tiled import Tiled
from .bounds import window_time
from .options import AdcPolicy, TileOptions
from .partition import ACCUMULATOR_LIMIT, Place
from .place import CoreSpace, Shape
from .plan import MatrixPlan, Shard
from .regions import Cutter, Part
from .shares import Footprint, Room, Share
from .tiled_graph import TiledGraph, complete_cores

_ADVICE = (
    "Use a larger chip (--set chip.mesh_rows=..., core.arrays=..., array.rows=..., "
    "array.cols=...) or fewer weight bits (--weight-bits)"
)

# Of the arrays of a chip, what products are dealt copies of: less where that does not pack.
_PARTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)

_FAR = 3  # operations between what lies on one core, while there are empty ones
_NEAR = 6  # operations between what lies on one core, while all can be placed so
_ANYWHERE = 1 << 30

Fits = Callable[[int, tuple[Node, ...]], bool]
Sharing = Callable[[Graph, Mapping[str, Footprint], Room], Mapping[str, Share]]


def tile(
    graph: Graph,
    target: Target,
    options: TileOptions | None = None,
    fits: Fits | None = None,
    sharing: Sharing | None = None,
) -> TiledGraph:
    """Place every product of a quantized graph on the arrays of `target`.

    ``fits(core, nodes)`` says whether the operations of a core (those already there and one
    more) fit its local memory; a core with nothing on it takes any operation.
    ``sharing(graph, footprints, room)`` says of which products there are several groups and
    copies; where these do not pack, it is asked again for less room.

    Raises `CapacityError` where the network is larger than the chip, `UnsupportedError` where a
    product has no constant weights or could overflow its accumulators.
    """
    _check_cells(graph, target)
    cutters = _cutters(graph, target, options or TileOptions())
    held = {n: footprint(cutter) for n, cutter in cutters.items()} if sharing else {}
    placer = _shared(graph, target, cutters, held, fits, sharing) if sharing else None
    if placer is None:
        placer = _Placer(graph, target, cutters, fits, options or TileOptions(), {})
        placer.add_all()
        placer.check_capacity()
    plans = placer.plans

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        if node.results[0].name not in plans or not isinstance(node.op, QConv | QMatMul):
            return None
        tiled = Tiled(node.op, plans[node.result.name][0])
        return builder.add(tiled, operands, node.result.name, node.origin)

    cores = complete_cores(graph, placer.cores)
    groups = {name: several for name, several in plans.items() if len(several) > 1}
    strips = {name: placer.strips(name) for name in groups}
    return TiledGraph(rebuild(graph, rule), target, cores, groups, strips, held)


def _shared(
    graph: Graph,
    target: Target,
    cutters: Mapping[str, Cutter],
    footprints: Mapping[str, Footprint],
    fits: Fits | None,
    sharing: Sharing,
) -> _Placer | None:
    """Place products in groups and copies; None where not even one each does pack.

    Work of layers that lie far apart shares a core only where all is not placed otherwise. Where
    small products spread over all cores and leave none to one that fills a core, all is placed
    again with such cores kept.
    """
    chip = Room(target.chip.cores, target.core.arrays)
    choices = _choices(graph, footprints, chip, sharing)
    whole = [
        {n: chip.whole_cores(footprints[n], share) for n, share in shares.items()}
        for shares in choices
    ]
    once = {name: Share() for name in footprints}
    attempts: list[tuple[Mapping[str, Share], Mapping[str, int], int]] = [
        *((shares, {}, _NEAR) for shares in choices),
        *((shares, {}, _ANYWHERE) for shares in choices),
        *((shares, cores, _ANYWHERE) for shares, cores in zip(choices, whole, strict=True)),
        (once, {}, _ANYWHERE),
    ]
    for shares, kept, apart in attempts:
        placer = _Placer(graph, target, cutters, fits, TileOptions(), shares, kept, apart)
        placer.add_all()
        if placer.has_room():
            return placer
    return None


def _choices(
    graph: Graph, footprints: Mapping[str, Footprint], chip: Room, sharing: Sharing
) -> list[Mapping[str, Share]]:
    """Groups and copies for ever fewer of the arrays, where that leaves one replica each."""
    found: list[Mapping[str, Share]] = []
    for part in _PARTS:
        shares = sharing(graph, footprints, replace(chip, part=part))
        if shares and shares not in found:
            found.append(shares)
    return found


def footprint(cutter: Cutter) -> Footprint:
    """What holding a product once takes, on cores of its own."""
    whole, array = cutter.whole(), cutter.target.array
    parts = cutter.pieces() if whole is None else whole
    shapes = [part.cut.shapes for part in parts]
    taken = {shape: _taken(shape, cutter.target) for shape in set(shapes)}
    widest = max(min(cols, array.cols) for shape in taken for _, cols in shape)
    time = window_time(cutter.target, parts[0].cut.input_bits, widest)
    arrays = sum(len(taken[shape]) for shape in shapes)
    shared = max(max(counts.values(), default=1) for counts in taken.values())
    row_blocks = [part.cut.row_block_count for part in parts]
    starts = max(row_blocks) if whole is None else sum(row_blocks)
    of_rows = {(p.span.c0, p.span.c1): count for p, count in zip(parts, row_blocks, strict=True)}
    return Footprint(
        arrays,
        cores=len(parts) if whole is None else 1,
        window_time=time * shared,
        start_time=starts * cutter.target.timing.t_start_ns,
        row_blocks=sum(of_rows.values()),
    )


def _taken(shapes: Sequence[Shape], target: Target) -> Counter[int]:
    """Rectangles on each array that they take on an empty core; what shares one takes turns."""
    placed = CoreSpace.empty(target).place(shapes)
    if placed is None:
        return Counter(range(target.core.arrays))
    return Counter(place.array for place in placed[1])


def _cutters(graph: Graph, target: Target, options: TileOptions) -> dict[str, Cutter]:
    found = {}
    for node in graph.nodes:
        if not isinstance(node.op, QConv | QMatMul):
            continue
        weight = graph.constant(node.operands[1])
        if weight is None:
            raise UnsupportedError(
                f"{node.label}: its weights are computed; arrays hold constant weights only"
            )
        found[node.result.name] = Cutter(node, node.op, weight, target, options.adc)
    return found


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
        self,
        graph: Graph,
        target: Target,
        cutters: Mapping[str, Cutter],
        fits: Fits | None,
        options: TileOptions,
        shares: Mapping[str, Share],
        whole_cores: Mapping[str, int] | None = None,
        apart: int = 0,
    ) -> None:
        self.plans: dict[str, tuple[MatrixPlan, ...]] = {}
        self.cores: dict[str, int] = {}
        self._graph = graph
        self._target = target
        self._cutters = cutters
        self._options = options
        self._fits = fits
        self._shares = shares
        self._whole_cores = dict(whole_cores or {})  # of products that are still to be placed
        self._last = 0
        self._spaces: dict[int, CoreSpace] = {}
        self._nodes: dict[int, list[Node]] = {}
        self._loads: dict[int, float] = {}
        self._since: dict[int, int] = {}  # the first operation on each core
        self._apart = apart
        self._load = 0.0  # of the group that is placed
        self._slowest = max((share.load for share in shares.values()), default=0.0)
        self._index = 0

    def add_all(self) -> None:
        """Place all nodes, each after its producers."""
        for index, node in enumerate(self._graph.nodes):
            self._index = index
            self.add(node)

    def strips(self, name: str) -> int:
        """In how many strips of columns the groups of a product make its result."""
        return self._shares.get(name, Share()).strips

    def has_room(self) -> bool:
        """Whether the chip has as many cores as were filled."""
        return self._last < self._target.chip.cores

    def add(self, node: Node) -> None:
        """Place one node after its producers."""
        if isinstance(node.op, QConv | QMatMul):
            plans = self._product(node)
            self.plans[node.result.name] = plans
            core: int | None = plans[0].home
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
        return MatrixPlan(home, shards)

    def _placed(
        self, node: Node, parts: Sequence[Part], copies: int = 1
    ) -> tuple[Shard, ...] | None:
        """Place parts together on the first core that has room for all."""
        cells = sum(rows * cols for part in parts for rows, cols in part.cut.shapes)
        array = self._target.array
        for core in self._candidates(-(-cells * copies // (array.rows * array.cols))):
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

    def _candidates(self, arrays: int) -> Iterator[int]:
        """The core in use, then earlier ones if it is the chip's last, then the next.

        Beyond the last core of the chip cores are only counted, for the error message.
        """
        if self._shares:
            yield from self._near(arrays)
            return
        yield self._last
        if self._last + 1 == self._target.chip.cores:
            yield from range(self._last)
        yield self._last + 1

    def _near(self, arrays: int) -> Iterator[int]:
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
            if used.get(core, 0) + arrays <= most and self._gap(core) <= self._apart
        ]
        kept = 2 * arrays <= most and cores - len(used) <= sum(self._whole_cores.values())
        yield from sorted(room, key=lambda c: (kept and c not in used, *self._distance(c)))
        yield max(cores, self._last + 1)

    def _distance(self, core: int) -> tuple[float, float, float, int]:
        """How little a core suits the node to be placed.

        First counts by how much it would be slower than the slowest product, as a core does one
        thing after the other; then how far its work lies apart, its load, and its number.

        Groups of one product are to work side by side: another core is better than the same.
        """
        load = self._loads.get(core, 0.0)
        late = max(0.0, load + self._load - self._slowest)
        return late, self._gap(core), load, core

    def _gap(self, core: int) -> float:
        """Operations between the node to be placed and the first on a core."""
        first = self._since.get(core)
        gap = _FAR if first is None else float(self._index - first)
        return gap or _FAR + 0.5

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
        self._since.setdefault(core, self._index)
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
