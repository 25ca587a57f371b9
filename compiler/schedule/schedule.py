"""From a tiled graph to a schedule: an order of tasks, memory for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from imcc.isa import Target

from ..errors import CapacityError
from ..ir.graph import Graph
from ..mapping.tiled_graph import TiledGraph
from .allocate import Placed, most_alive, peak
from .apart import EndlessMemory, OwnPlace, lay_apart
from .arrival_order import arrival_order
from .memory import Asked, CoreMemory, buffers_of, intervals, lay_out
from .options import ScheduleMode
from .order import Step
from .phases import in_phases
from .plans import Plan, all_requests, demanded, exchanged, one_by_one, plan_of, planned, plans_for
from .scratch import rows_of
from .sliding import Chain, chains
from .stream_rows import stream_rows
from .streamed import Streamed, whole_of
from .task import Schedule, Task
from .traffic import arranged
from .working_memory import WorkingMemory

Places = Mapping[int, Sequence[OwnPlace]]


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
    found = _first_that_fits(tiled, mode, streamed)
    needs, plan = found.needs, found.needs.plan
    graph = plan.streamed.graph
    placed = {core: laid.placed for core, laid in found.memory.items()}
    _check_capacity(graph, plan.steps, tiled.target, placed, limit)
    working = WorkingMemory(placed, limit, in_turn=mode is not ScheduleMode.LAYERS)
    tasks = _tasks(tiled, plan, needs.asked, working)
    buffers = buffers_of(plan.residence, needs.sliding, found.memory)
    return Schedule(
        graph, tiled.target, tasks, buffers, found.peaks, plan.streamed.blocks, plan.pipelined
    )


@dataclass(frozen=True, eq=False)
class _Needs:
    """A plan with what its nodes ask for, before anything has an address."""

    plan: Plan
    asked: Sequence[Asked]
    sliding: Sequence[Chain]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """What the nodes of a plan ask for, and the buffers of its tensors."""
        streamed, replicas = plan.streamed, plan.residence.replicas
        sliding = chains(streamed.graph.nodes, streamed.cores, replicas)
        return cls(plan, all_requests(plan), sliding)

    def may_fit(self, limit: int) -> bool:
        """Whether no core must hold more at one time; a quick test."""
        needed = intervals(self.sliding, self.asked)
        return all(most_alive(items) <= limit for items in needed.values())

    def laid_out(self, limit: int, mode: ScheduleMode) -> _LaidOut:
        """Give everything an address; a core may need more than `limit` bytes."""
        memory = lay_out(self.sliding, self.asked, limit, deep=mode is not ScheduleMode.LAYERS)
        peaks = {core: peak(laid.placed) for core, laid in memory.items()}
        return _LaidOut(self, memory, peaks)


@dataclass(frozen=True, eq=False)
class _LaidOut:
    """What a plan needs with all addresses, and the peak of each core in bytes."""

    needs: _Needs
    memory: Mapping[int, CoreMemory]
    peaks: Mapping[int, int]

    def fits(self, limit: int) -> bool:
        """Whether every core has so many bytes."""
        return max(self.peaks.values(), default=0) <= limit


def _first_that_fits(tiled: TiledGraph, mode: ScheduleMode, streamed: Streamed | None) -> _LaidOut:
    """The first plan for which local memory does; the last where it does for none.

    Layer by layer there are two. Where rows stream there are many, and the last one needs the
    least: if that does not fit, none of the others has to be tried.
    """
    limit = tiled.target.core.local_memory_bytes
    tried = map(_Needs.of, plans_for(tiled, mode, streamed))
    first = next(tried).laid_out(limit, mode)
    if first.fits(limit):
        return first
    if mode is ScheduleMode.LAYERS:
        return next(tried).laid_out(limit, mode)
    last = _Needs.of(one_by_one(tiled)).laid_out(limit, mode)
    if not last.fits(limit):
        return last
    others = (one.laid_out(limit, mode) for one in tried if one.may_fit(limit))
    return next((one for one in others if one.fits(limit)), last)


def schedule_apart(tiled: TiledGraph, streamed: Streamed) -> tuple[Schedule, Places]:
    """A schedule of streamed rows in which nothing shares memory, and what lies on each core.

    Local memory has no end; peaks are none of its business.
    """
    order = arrival_order(streamed.graph, demanded(streamed), streamed.blocks)
    plan = planned(streamed, in_phases(streamed, order))
    needs = _Needs.of(plan)
    memory = lay_apart(needs.sliding, needs.asked)
    working = EndlessMemory(memory, tiled.target.core.local_memory_bytes)
    tasks = _tasks(tiled, plan, needs.asked, working)
    buffers = buffers_of(plan.residence, needs.sliding, memory)
    made = Schedule(streamed.graph, tiled.target, tasks, buffers, {}, plan.streamed.blocks)
    return made, working.places


def on_mesh(tiled: TiledGraph, *, hands_on: bool = False) -> tuple[TiledGraph, Streamed]:
    """A mapping for rows that stream, its cores at places that keep the way of data short.

    Returned with the graph cut in rows. For `hands_on` see `Streamed`.
    """
    streamed = stream_rows(tiled, hands_on=hands_on)
    return arranged(tiled, streamed, exchanged(tiled, plan_of(streamed)))


def _tasks(
    tiled: TiledGraph,
    plan: Plan,
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
