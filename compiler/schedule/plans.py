"""Plans of a tiled graph: in which order its operations run, and on which cores.

Those that keep more alive come before those that need less memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..ir.graph import Node
from ..ir.ops.rows import Rows
from ..ir.ops.tiled import Tiled
from ..mapping.mesh import Floats
from ..mapping.tiled_graph import TiledGraph
from .jobs import busy_times, jobs
from .memory import Asked
from .options import ScheduleMode
from .order import Step, demand_order, graph_order
from .parallel_order import parallel_order
from .phase_rows import rows_in_phases
from .phases import in_phases, layer_phases
from .pipeline import can_be_in_phases, inputs_fit, pipeline_phases
from .replica import Residence, Site, settle
from .scratch import Request, requests, rows_of
from .stream_rows import stream_rows
from .streamed import Streamed, whole_of, whole_operations
from .traffic import handed_on, network_time, traffic
from .window import border_of, bordered

# How far operations may run ahead of the order of demand, as a part of all of them.
_AHEAD = (1.0, 0.3, 0.1, 0.03, 0.01)
# How much shorter runs are where those of the mapping find no room in local memory.
_FINER = (2, 4)
# Operations whose rows stream together where not all of a stage can: the more, the faster.
_TOGETHER = (32, 16, 8, 4, 2, 1)


@dataclass(frozen=True, eq=False)
class Plan:
    """What happens in which order, and where."""

    streamed: Streamed
    steps: Sequence[Step]
    sites: Mapping[int, Site]
    residence: Residence
    pipelined: bool = False


def plans_for(tiled: TiledGraph, mode: ScheduleMode, streamed: Streamed | None) -> Iterator[Plan]:
    """Orders to try, those that keep more alive before those that need less memory."""
    if mode is ScheduleMode.LAYERS:
        whole = whole_operations(tiled)
        yield planned(whole, in_phases(whole, graph_order(whole.graph)))
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
        yield plan_of(waiting)


def _pipelined(tiled: TiledGraph, streamed: Streamed) -> Iterator[Plan]:
    """The plan in which each phase works on another input, if its rounds promise to be short.

    They do where the global memory has less to do than the busiest core, or than the network if
    rows stream.
    """
    target, longest = tiled.target, max(busy_times(tiled).values())
    network = network_time(exchanged(tiled, plan_of(streamed)), target)
    apart = rows_in_phases(tiled, pipeline_phases(tiled))
    plan = plan_of(apart)
    readers = [len(plan.sites[index].readers) for index in range(len(apart.graph.nodes))]
    cycles = handed_on(apart, readers, target) / target.timing.global_bytes_per_cycle
    memory = cycles / target.timing.clock_mhz * 1000.0
    if memory < max(network, longest) and inputs_fit(tiled, apart):
        yield replace(plan, pipelined=True)


def _streamed_plans(tiled: TiledGraph, streamed: Streamed) -> Iterator[Plan]:
    least, work = demanded(streamed), jobs(streamed, tiled.target)
    for part in _AHEAD:
        ahead = max(1, int(len(least) * part))
        order = parallel_order(streamed.graph, least, streamed.blocks, work, ahead)
        yield planned(streamed, in_phases(streamed, order))
    yield planned(streamed, least)


def one_by_one(tiled: TiledGraph) -> Plan:
    """The plan that needs the least: rows wait between all operations, which make few at a time."""
    phases = layer_phases(tiled, 1)
    return plan_of(stream_rows(tiled, follow=False, phases=phases, finer=_FINER[-1]))


def demanded(streamed: Streamed) -> tuple[Step, ...]:
    """The order that keeps the least alive."""
    return in_phases(streamed, demand_order(streamed.graph, streamed.blocks))


def plan_of(streamed: Streamed) -> Plan:
    """The plan with the order that keeps the least alive."""
    return planned(streamed, demanded(streamed))


def planned(streamed: Streamed, steps: Sequence[Step]) -> Plan:
    """The plan with these steps."""
    sites = {i: _site(streamed, node) for i, node in enumerate(streamed.graph.nodes)}
    residence = settle(streamed.graph, steps, sites, hands_on=streamed.hands_on)
    return Plan(streamed, steps, sites, residence)


def exchanged(tiled: TiledGraph, plan: Plan) -> Floats:
    """The bytes that cores send to each other, see `traffic`."""
    return traffic(plan.streamed, plan.steps, plan.residence, tiled.target)


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


def all_requests(plan: Plan) -> Sequence[Asked]:
    """What the node of each step asks for."""
    asked = {index: _asked(plan, index) for index in {step.node for step in plan.steps}}
    return [asked[step.node] for step in plan.steps]


def _asked(plan: Plan, index: int) -> Asked:
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
