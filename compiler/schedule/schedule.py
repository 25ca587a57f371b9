"""From a tiled graph to a schedule: an order of tasks, memory for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imcc.isa import Target

from ..errors import CapacityError
from ..ir.graph import Graph, Node, Value
from ..ir.ops.rows import Rows
from ..ir.ops.tiled import Tiled
from ..mapping.mesh import Floats
from ..mapping.placer import Fits
from ..mapping.tiled_graph import TiledGraph
from .allocate import Placed, aligned, fit, peak
from .apart import EndlessMemory, OwnPlace, lay_apart
from .arrival_order import arrival_order
from .jobs import busy_times, jobs
from .layout import ELEMENTS
from .memory import Asked, buffers_of, intervals, lay_out
from .options import ScheduleMode
from .order import Step, demand_order, graph_order
from .parallel_order import parallel_order
from .phase_rows import rows_in_phases
from .phases import in_phases, layer_phases
from .pipeline import can_be_in_phases, inputs_fit, pipeline_phases
from .replica import Residence, Site, settle
from .room import largest, stream_check
from .scratch import (
    Request,
    requests,
    rows_of,
)
from .sliding import chains
from .stream_rows import stream_rows
from .streamed import Streamed, whole_of, whole_operations
from .task import Schedule, Task
from .traffic import arranged, handed_on, network_time, traffic
from .window import Border, border_of, bordered
from .working_memory import WorkingMemory

Places = Mapping[int, Sequence[OwnPlace]]

# How far operations may run ahead of the order of demand, as a part of all of them.
_AHEAD = (1.0, 0.3, 0.1, 0.03, 0.01)
# How much shorter runs are where those of the mapping find no room in local memory.
_FINER = (2, 4)
# Cores of the test for placement: the one that is looked at, and one for all others.
_HERE, _ELSEWHERE = 0, -1
# Operations whose rows stream together where not all of a stage can: the more, the faster.
_TOGETHER = (32, 16, 8, 4, 2, 1)


def schedule(
    tiled: TiledGraph,
    mode: ScheduleMode = ScheduleMode.LAYERS,
    streamed: Streamed | None = None,
) -> Schedule:
    """Order the operations, give every tensor an address on every core that touches it.

    `streamed` is the graph cut in rows, where it is known. Where local memory does not do, rows
    wait in global memory from one operation to the next.
    Raises `CapacityError` where a core's local memory cannot hold what it must even so.
    """
    limit = tiled.target.core.local_memory_bytes
    for plan in _plans(tiled, mode, streamed):
        asked = _all_requests(plan)
        graph, replicas = plan.streamed.graph, plan.residence.replicas
        sliding = chains(graph.nodes, plan.streamed.cores, replicas)
        memory = lay_out(sliding, asked, limit, deep=mode is not ScheduleMode.LAYERS)
        peaks = {core: peak(laid.placed) for core, laid in memory.items()}
        if max(peaks.values(), default=0) <= limit:
            break
    placed = {core: laid.placed for core, laid in memory.items()}
    _check_capacity(graph, plan.steps, tiled.target, placed, limit)
    working = WorkingMemory(placed, limit, in_turn=mode is not ScheduleMode.LAYERS)
    tasks = _tasks(tiled, plan, asked, working)
    buffers = buffers_of(plan.residence, sliding, memory)
    return Schedule(
        graph, tiled.target, tasks, buffers, peaks, plan.streamed.blocks, plan.pipelined
    )


def schedule_apart(tiled: TiledGraph, streamed: Streamed) -> tuple[Schedule, Places]:
    """A schedule of streamed rows in which nothing shares memory, and what lies on each core.

    Local memory has no end; peaks are none of its business.
    """
    order = arrival_order(streamed.graph, _demanded(streamed), streamed.blocks)
    plan = _plan(streamed, in_phases(streamed, order))
    asked, limit = _all_requests(plan), tiled.target.core.local_memory_bytes
    graph, replicas = plan.streamed.graph, plan.residence.replicas
    sliding = chains(graph.nodes, plan.streamed.cores, replicas)
    memory = lay_apart(sliding, asked)
    working = EndlessMemory(memory, limit)
    tasks = _tasks(tiled, plan, asked, working)
    buffers = buffers_of(plan.residence, sliding, memory)
    made = Schedule(graph, tiled.target, tasks, buffers, {}, plan.streamed.blocks)
    return made, working.places


def on_mesh(tiled: TiledGraph, *, hands_on: bool = False) -> tuple[TiledGraph, Streamed]:
    """A mapping for rows that stream, its cores at places that keep the way of data short.

    Returned with the graph cut in rows. For `hands_on` see `Streamed`.
    """
    streamed = stream_rows(tiled, hands_on=hands_on)
    return arranged(tiled, streamed, _exchanged(tiled, _plan_of(streamed)))


def _exchanged(tiled: TiledGraph, plan: _Plan) -> Floats:
    return traffic(plan.streamed, plan.steps, plan.residence, tiled.target)


@dataclass(frozen=True, eq=False)
class _Plan:
    """What happens in which order, and where."""

    streamed: Streamed
    steps: Sequence[Step]
    sites: Mapping[int, Site]
    residence: Residence
    pipelined: bool = False


def _plans(tiled: TiledGraph, mode: ScheduleMode, streamed: Streamed | None) -> Iterator[_Plan]:
    """Orders to try, those that keep more alive before those that need less memory."""
    if mode is ScheduleMode.LAYERS:
        whole = whole_operations(tiled)
        yield _plan(whole, in_phases(whole, graph_order(whole.graph)))
    else:
        streamed = streamed or stream_rows(tiled)
        if mode is ScheduleMode.THROUGHPUT and can_be_in_phases(tiled):
            yield from _pipelined(tiled, streamed)
        yield from _streamed_plans(tiled, streamed)
        for finer in _FINER:
            yield from _streamed_plans(tiled, stream_rows(tiled, finer=finer))
        yield from _streamed_plans(tiled, stream_rows(tiled, follow=False))
    for together in (1,) if mode is ScheduleMode.LAYERS else _TOGETHER:
        waiting = stream_rows(tiled, follow=False, phases=layer_phases(tiled, together))
        yield _plan_of(waiting)


def _pipelined(tiled: TiledGraph, streamed: Streamed) -> Iterator[_Plan]:
    """The plan in which each phase works on another input, if its rounds promise to be short.

    They do where the global memory has less to do than the busiest core, or than the network if
    rows stream.
    """
    target, longest = tiled.target, max(busy_times(tiled).values())
    network = network_time(_exchanged(tiled, _plan_of(streamed)), target)
    apart = rows_in_phases(tiled, pipeline_phases(tiled))
    plan = _plan_of(apart)
    readers = [len(plan.sites[index].readers) for index in range(len(apart.graph.nodes))]
    cycles = handed_on(apart, readers, target) / target.timing.global_bytes_per_cycle
    memory = cycles / target.timing.clock_mhz * 1000.0
    if memory < max(network, longest) and inputs_fit(tiled, apart):
        yield replace(plan, pipelined=True)


def _streamed_plans(tiled: TiledGraph, streamed: Streamed) -> Iterator[_Plan]:
    least, work = _demanded(streamed), jobs(streamed, tiled.target)
    for part in _AHEAD:
        ahead = max(1, int(len(least) * part))
        order = parallel_order(streamed.graph, least, streamed.blocks, work, ahead)
        yield _plan(streamed, in_phases(streamed, order))
    yield _plan(streamed, least)


def _demanded(streamed: Streamed) -> tuple[Step, ...]:
    """The order that keeps the least alive."""
    return in_phases(streamed, demand_order(streamed.graph, streamed.blocks))


def _plan_of(streamed: Streamed) -> _Plan:
    return _plan(streamed, _demanded(streamed))


def _plan(streamed: Streamed, steps: Sequence[Step]) -> _Plan:
    sites = {i: _site(streamed, node) for i, node in enumerate(streamed.graph.nodes)}
    residence = settle(streamed.graph, steps, sites, hands_on=streamed.hands_on)
    return _Plan(streamed, steps, sites, residence)


def memory_check(graph: Graph, target: Target, mode: ScheduleMode = ScheduleMode.LAYERS) -> Fits:
    """A test for placement: whether nodes, on one core, fit its local memory.

    Where not even every tensor does, rows will wait in global memory. The test does not look at the
    same nodes twice: placement asks for them again in each stage that may hold them.
    """
    if mode is ScheduleMode.LAYERS and largest(graph) <= target.core.local_memory_bytes:
        return _remembered(_whole_check(graph, target))
    return _remembered(stream_check(graph, target))


def _remembered(fits: Fits) -> Fits:
    known: dict[tuple[str, ...], bool] = {}

    def remembered(nodes: tuple[Node, ...]) -> bool:
        key = tuple(node.results[0].name for node in nodes)
        if key not in known:
            known[key] = fits(nodes)
        return known[key]

    return remembered


def _whole_check(graph: Graph, target: Target) -> Fits:
    """The test where operations run to their end one after the other.

    It plays the scheduler for that core with every other node elsewhere, which is the most that
    the core will have to hold.
    """
    limit = target.core.local_memory_kib << 10
    neighbourhood = _Neighbourhood(graph)

    def fits(nodes: tuple[Node, ...]) -> bool:
        if sum(map(neighbourhood.most_bytes, nodes)) <= limit:
            return True
        sites = neighbourhood.sites(nodes)
        steps = [Step(index) for index in sites]
        residence = settle(graph, steps, sites)
        asked = _all_requests(_Plan(Streamed(graph, {}, {}), steps, sites, residence))
        played = [graph.nodes[index] for index in sites]
        cores = {graph.nodes[i].results[0].name: site.core for i, site in sites.items()}
        sliding = chains(played, cores, residence.replicas)
        return fit(intervals(sliding, asked).get(_HERE, []), limit)

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
            scratch = sum(request.least() for request in requests(self._graph, node, 0, ""))
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

    def sites(self, nodes: Sequence[Node]) -> dict[int, Site]:
        """Sites of nodes on a core, and of what they depend on elsewhere."""
        here = {self._index(node) for node in nodes}
        around = {self._indices.get(v.name) for node in nodes for v in node.operands}
        for node in nodes:
            for result in node.results:
                readers = (self._index(user) for user in self._graph.users(result))
                around.add(next((index for index in readers if index not in here), None))
        there, elsewhere = Site(_HERE, (_HERE,)), Site(_ELSEWHERE, (_ELSEWHERE,))
        played = sorted(here | {index for index in around if index is not None})
        return {index: there if index in here else elsewhere for index in played}

    def _index(self, node: Node) -> int:
        return self._indices[node.results[0].name]


def _site(streamed: Streamed, node: Node) -> Site:
    core = streamed.cores[node.results[0].name]
    if isinstance(node.op, Tiled):
        return Site(node.op.plan.home, node.op.plan.cores())
    if isinstance(node.op, Rows):
        return Site(core, _where_read(streamed, node) or (core,))
    return Site(core, (core,))


def _where_read(streamed: Streamed, rows: Node) -> tuple[int, ...]:
    """The cores on which rows are put together: those that read them."""
    users = (u for u in streamed.graph.users(rows.result) if not isinstance(u.op, Rows))
    return tuple(dict.fromkeys(core for user in users for core in _site(streamed, user).readers))


def _all_requests(plan: _Plan) -> Sequence[Asked]:
    asked = {index: _asked(plan, index) for index in {step.node for step in plan.steps}}
    return [asked[step.node] for step in plan.steps]


def _asked(plan: _Plan, index: int) -> Asked:
    """What a node asks for, the same for each of its steps."""
    node, site = plan.streamed.graph.nodes[index], plan.sites[index]
    own = requests(plan.streamed.graph, node, site.core, whole_of(plan.streamed.blocks, node))
    if plan.pipelined:
        own = tuple(_in_phase(request, plan.streamed.phase_of(node)) for request in own)
    return Asked(own + _padded(node, site, plan.residence), rows_of(node))


def _in_phase(request: Request, phase: int) -> Request:
    """Constant data of a phase: the next one must load it again."""
    return replace(request, content=f"{request.content}@{phase}") if request.content else request


def _padded(node: Node, site: Site, residence: Residence) -> tuple[Request, ...]:
    """Room for a copy of operand 0 where its buffer has not the border that the node reads."""
    if not node.operands or isinstance(node.op, Rows):
        return ()
    value, border = node.operands[0], border_of(node, 0)
    asked = []
    for core in site.readers:
        replica = residence.replicas.get((value.name, core))
        if replica is not None and not replica.border.covers(border):
            asked.append(Request("padded", core, bordered(value.type, border).size))
    return tuple(asked)


def _tasks(
    tiled: TiledGraph,
    plan: _Plan,
    asked: Sequence[Asked],
    working: WorkingMemory | EndlessMemory,
) -> tuple[Task, ...]:
    """The tasks, each with as high bands as the free memory of its time allows."""
    tasks, begun = [], set[str]()
    residence = plan.residence
    for index, step in enumerate(plan.steps):
        node, site = plan.streamed.graph.nodes[step.node], plan.sites[step.node]
        band, columns, scratch = working.take(index, node, asked[index].requests)
        core = residence.cores[index]
        cores = tuple(dict.fromkeys((core, *site.readers)))
        moves, rows = residence.transfers[index], rows_of(node)
        begins = node.results[0].name not in begun
        begun.add(node.results[0].name)
        stage = tiled.stages.get(whole_of(plan.streamed.blocks, node), 0)
        phase = plan.streamed.phase_of(node)
        more = (step.piece, begins, columns or 0, phase, stage)
        tasks.append(Task(node, core, cores, rows, band, moves, scratch, *more))
    return tuple(tasks)


def _check_capacity(
    graph: Graph,
    steps: Sequence[Step],
    target: Target,
    placed: Mapping[int, Sequence[Placed]],
    limit: int,
) -> None:
    problems = []
    for core, items in sorted(placed.items()):
        needed = peak(items)
        if needed > limit:
            top = max(items, key=lambda p: p.end)
            node = graph.nodes[steps[top.interval.first].node]
            problems.append(
                f"core {core} needs {needed:,} bytes of local memory at node '{node.label}'; "
                f"target '{target.name}' has {limit:,}: {needed - limit:,} short"
            )
    if problems:
        problems.append("use a target with more local memory a core, or smaller feature maps")
        raise CapacityError("\n".join(problems))
