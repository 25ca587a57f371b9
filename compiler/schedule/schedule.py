"""From a tiled graph to a schedule: one task an operation, memory for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from imcc.isa import Target

from ..errors import CapacityError
from ..ir.graph import Graph, Node, Value
from ..ir.ops.tiled import Tiled
from ..mapping.tiled_graph import TiledGraph
from .allocate import Interval, Placed, aligned, allocate, fit, largest_gap, peak
from .layout import ELEMENTS
from .replica import Residence, Site, settle
from .scratch import ALIGNMENT, Request, most_rows, requests, rows_of
from .task import Buffer, Schedule, Scratch, Task
from .window import Border, border_of, bordered

_SCRATCH = "scratch of task "


def schedule(tiled: TiledGraph) -> Schedule:
    """Order the operations, give every tensor an address on every core that touches it.

    Raises `CapacityError` where a core's local memory cannot hold what it must.
    """
    graph = tiled.graph
    sites = {index: _site(tiled, node) for index, node in enumerate(graph.nodes)}
    residence = settle(graph, sites)
    asked = _all_requests(graph, sites, residence)
    limit = tiled.target.core.local_memory_kib << 10
    placed = _allocate_all(residence, asked)
    _check_capacity(graph, tiled.target, placed, limit)
    tasks = tuple(
        _task(node, sites[i], residence, asked[i], placed, i, limit)
        for i, node in enumerate(graph.nodes)
    )
    peaks = {core: peak(p) for core, p in placed.items()}
    return Schedule(graph, tiled.target, tasks, _buffers(residence, placed), peaks)


def memory_check(graph: Graph, target: Target) -> Callable[[int, tuple[Node, ...]], bool]:
    """A test for placement: whether nodes, on one core, fit its local memory.

    It plays the scheduler for that core with every other node elsewhere, which is the most that
    the core will have to hold.
    """
    limit = target.core.local_memory_kib << 10
    neighbourhood = _Neighbourhood(graph)

    def fits(core: int, nodes: tuple[Node, ...]) -> bool:
        if sum(map(neighbourhood.most_bytes, nodes)) <= limit:
            return True
        sites = neighbourhood.sites(core, nodes)
        residence = settle(graph, sites)
        asked = _all_requests(graph, sites, residence)
        return fit(_intervals(residence, asked).get(core, []), limit)

    return fits


class _Neighbourhood:
    """Which nodes elsewhere decide what a core must hold.

    They are those that make what is read on the core, and of those that read what is made there
    the first, to which it is sent.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._indices = {
            value.name: i for i, node in enumerate(graph.nodes) for value in node.results
        }
        self._most: dict[str, int] = {}

    def most_bytes(self, node: Node) -> int:
        """Bytes that suffice for a node: all its tensors, with all borders, side by side."""
        name = node.results[0].name
        if name not in self._most:
            tensors = sum(map(self._widest, [*node.operands, *node.results]))
            scratch = sum(request.size(1) for request in requests(self._graph, node, 0))
            padded = sum(map(self._widest, node.operands[:1]))
            self._most[name] = tensors + scratch + padded
        return self._most[name]

    def _widest(self, value: Value) -> int:
        """The size of a value with the border of each of its readers; 0 for real values."""
        if value.type.dtype not in ELEMENTS:
            return 0
        borders = [
            border_of(user, position)
            for user in self._graph.users(value)
            for position, operand in enumerate(user.operands)
            if operand.name == value.name
        ]
        none = (0,) * value.type.rank
        before = map(max, zip(none, *(border.before for border in borders), strict=True))
        after = map(max, zip(none, *(border.after for border in borders), strict=True))
        return aligned(bordered(value.type, Border(tuple(before), tuple(after), 0)).size)

    def sites(self, core: int, nodes: Sequence[Node]) -> dict[int, Site]:
        """Sites of nodes on a core and of what they depend on, elsewhere."""
        here = {self._index(node) for node in nodes}
        around = {self._indices.get(v.name) for node in nodes for v in node.operands}
        for node in nodes:
            for result in node.results:
                readers = (self._index(user) for user in self._graph.users(result))
                around.add(next((index for index in readers if index not in here), None))
        there, elsewhere = Site(core, (core,)), Site(-1, (-1,))
        played = sorted(here | {index for index in around if index is not None})
        return {index: there if index in here else elsewhere for index in played}

    def _index(self, node: Node) -> int:
        return self._indices[node.results[0].name]


def _site(tiled: TiledGraph, node: Node) -> Site:
    if isinstance(node.op, Tiled):
        plan = node.op.plan
        return Site(plan.home, tuple(dict.fromkeys(shard.core for shard in plan.shards)))
    core = tiled.core_of(node)
    return Site(core, (core,))


def _all_requests(
    graph: Graph, sites: Mapping[int, Site], residence: Residence
) -> dict[int, tuple[Request, ...]]:
    return {
        index: requests(graph, graph.nodes[index], site.core)
        + _padded(graph.nodes[index], site, residence)
        for index, site in sites.items()
    }


def _padded(node: Node, site: Site, residence: Residence) -> tuple[Request, ...]:
    """Room for a copy of operand 0 where its buffer has not the border that the node reads."""
    if not node.operands:
        return ()
    value, border = node.operands[0], border_of(node, 0)
    asked = []
    for core in site.readers:
        replica = residence.replicas.get((value.name, core))
        if replica is not None and not replica.border.covers(border):
            asked.append(Request("padded", core, bordered(value.type, border).size))
    return tuple(asked)


def _allocate_all(
    residence: Residence, asked: Mapping[int, Iterable[Request]]
) -> dict[int, tuple[Placed, ...]]:
    """Addresses for all tensors and, with bands of one row, all working memory, by core."""
    return {core: allocate(items) for core, items in _intervals(residence, asked).items()}


def _intervals(
    residence: Residence, asked: Mapping[int, Iterable[Request]]
) -> dict[int, list[Interval]]:
    """What is to be placed, by core."""
    intervals: dict[int, list[Interval]] = defaultdict(list)
    for (name, core), replica in residence.replicas.items():
        size = replica.layout.size
        intervals[core].append(Interval((name, core), size, replica.first, replica.last))
    for index, task_requests in asked.items():
        for core, size in _scratch_sizes(task_requests, band=1).items():
            intervals[core].append(Interval((f"{_SCRATCH}{index}", core), size, index, index))
    return intervals


def _scratch_sizes(task_requests: Iterable[Request], band: int) -> dict[int, int]:
    sizes: dict[int, int] = defaultdict(int)
    for request in task_requests:
        sizes[request.core] += request.size(band)
    return sizes


def _task(
    node: Node,
    site: Site,
    residence: Residence,
    asked: tuple[Request, ...],
    placed: Mapping[int, Sequence[Placed]],
    index: int,
    limit: int,
) -> Task:
    rows = rows_of(node)
    cores = tuple(dict.fromkeys((site.core, *site.readers)))
    gaps = {
        core: largest_gap(_without_scratch(placed.get(core, ()), index), index, limit)
        for core in {request.core for request in asked}
    }
    room = {core: size for core, (_, size) in gaps.items()}
    band = _highest_band(asked, most_rows(node), room)
    band = -(-rows // -(-rows // band))  # as few bands, of more equal height
    scratch = _lay_out(asked, band, {core: start for core, (start, _) in gaps.items()})
    return Task(node, site.core, cores, rows, band, residence.transfers[index], scratch)


def _without_scratch(placed: Sequence[Placed], index: int) -> list[Placed]:
    return [p for p in placed if p.interval.key[0] != f"{_SCRATCH}{index}"]


def _highest_band(asked: Sequence[Request], rows: int, room: Mapping[int, int]) -> int:
    """The most rows a band can have."""
    band = rows
    for core, size in room.items():
        mine = [request for request in asked if request.core == core]
        per_row = sum(request.per_row for request in mine)
        spare = size - sum(request.fixed + ALIGNMENT for request in mine)
        if per_row:
            band = min(band, spare // per_row)
    return max(band, 1)


def _lay_out(asked: Sequence[Request], band: int, starts: Mapping[int, int]) -> tuple[Scratch, ...]:
    next_free = dict(starts)
    laid_out = []
    for request in asked:
        size = request.size(band)
        laid_out.append(Scratch(request.name, request.core, next_free[request.core], size))
        next_free[request.core] += size
    return tuple(laid_out)


def _buffers(
    residence: Residence, placed: Mapping[int, Sequence[Placed]]
) -> dict[tuple[str, int], Buffer]:
    addresses = {p.interval.key: p.address for items in placed.values() for p in items}
    return {
        key: Buffer(key[1], addresses[key], r.layout, r.border.fill, r.first, r.last)
        for key, r in residence.replicas.items()
    }


def _check_capacity(
    graph: Graph, target: Target, placed: Mapping[int, Sequence[Placed]], limit: int
) -> None:
    problems = []
    for core, items in sorted(placed.items()):
        needed = peak(items)
        if needed > limit:
            top = max(items, key=lambda p: p.end)
            node = graph.nodes[top.interval.first]
            problems.append(
                f"core {core} needs {needed:,} bytes of local memory at node '{node.label}'; "
                f"target '{target.name}' has {limit:,}: {needed - limit:,} short"
            )
    if problems:
        problems.append("use a target with more local memory a core, or smaller feature maps")
        raise CapacityError("\n".join(problems))
