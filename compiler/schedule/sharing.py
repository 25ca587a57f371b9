"""What the products of a graph ask for when their rows stream."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from imcc.isa import Target
from imcc.isa.target import Network

from ..ir.graph import Graph, Node, Value
from ..ir.ops.quant import Enter, Quantize
from ..mapping.overlapping import Fetch, Grain, Overlapping
from ..mapping.runs import MOST_RUNS
from ..mapping.shares import Demand, Demands, Footprint, Teams
from ..mapping.tiling import Sharing
from .channel_joins import as_in, joins_channels
from .cuts import runs_of
from .jobs import fetch_time, move_time, sums_time, vector_time
from .leading import Ways
from .options import ScheduleMode
from .room import row_axes
from .row_flow import row_flow
from .row_ranges import has_strips, part_of
from .running import running
from .scratch import rows_of, windows_per_row
from .teams import find_teams
from .window import window_of

Kind = TypeVar("Kind", bound=Demand)

_FILL = {ScheduleMode.LATENCY: 2, ScheduleMode.THROUGHPUT: 0}


def sharing(mode: ScheduleMode, target: Target) -> Sharing | None:
    """What products ask for in a schedule; None where each lies on the chip once."""
    if mode is ScheduleMode.LAYERS:
        return None
    # A bus holds up rows that stream: there will be phases (see `schedule.pipeline`).
    apart = mode is ScheduleMode.THROUGHPUT and target.chip.network is Network.BUS

    def demands(graph: Graph, footprints: Mapping[str, Footprint]) -> Demands:
        axes = row_axes(graph)
        work = _work(graph, footprints, axes, target)
        found = tuple(
            replace(_demand(Demand, node, footprints[name], axes[name], work[name]), apart=apart)
            for node in graph.nodes
            if (name := node.results[0].name) in footprints
        )
        teams = find_teams(graph, found, axes, target) if apart else Teams()
        return Demands(found, _FILL[mode], _waits(graph, axes), teams)

    return demands


def sharing_apart(target: Target, grain: Grain) -> Sharing:
    """What products ask for if all arrays of a core work side by side."""

    def demands(graph: Graph, footprints: Mapping[str, Footprint]) -> Demands:
        axes = row_axes(graph)
        work = _work(graph, footprints, axes, target)
        found = tuple(
            replace(
                _demand(Overlapping, node, footprints[name], axes[name], work[name]),
                finer=grain.finer,
                steady=grain.steady,
                fetch=_fetch(graph, node, target),
            )
            for node in graph.nodes
            if (name := node.results[0].name) in footprints
        )
        flow = partial(row_flow, graph, footprints, axes)
        return Demands(found, waits=_waits(graph, axes), flow=flow)

    return demands


def _demand(
    kind: type[Kind], node: Node, footprint: Footprint, axis: int | None, work: _Work
) -> Kind:
    result = node.result
    return kind(
        result.name,
        footprint,
        rows=1 if axis is None else rows_of(node),
        windows=windows_per_row(node),
        work=work.whole,
        columns=axis is not None and has_strips(node, axis),
        again=(work.rows, work.columns),
        each=work.each,
    )


def _fetch(graph: Graph, node: Node, target: Target) -> Fetch:
    """What the global memory has to do for a product: it has the inputs of a network."""
    source = graph.producer(node.operands[0])
    if source is not None and not isinstance(source.op, Quantize | Enter):
        return Fetch()
    return Fetch(fetch_time(node.operands[0], target), *_overlaps(node))


def _waits(graph: Graph, axes: Mapping[str, int | None]) -> dict[str, float]:
    """For each result the part of the rows of its operands that its first rows are made of."""
    return {
        value.name: _wait(node, axes[node.results[0].name])
        for node in graph.nodes
        for value in node.results
        if any(axes.get(operand.name) is not None for operand in node.operands)
    }


def _wait(node: Node, axis: int | None) -> float:
    if axis is None:
        return 1.0
    first, *_ = runs_of(node, axis, MOST_RUNS)
    needs = part_of(node, {axis: first}).needs
    parts = [
        stop / operand.type.shape[along]
        for operand, need in zip(node.operands, needs, strict=True)
        for along, (_, stop) in need.items()
    ]
    return max(parts, default=0.0)


@dataclass
class _Work:
    """Nanoseconds that the cores of a product work beside its arrays.

    `rows` and `columns` are for what windows read beyond a part of one row, or one column, `each`
    for what is done with each part, whatever its size.
    """

    whole: float = 0.0
    rows: float = 0.0
    columns: float = 0.0
    each: float = 0.0

    def add_sums(self, node: Node, target: Target) -> None:
        """Count a reduction: sums of each part are made, and read with those before to add them."""
        self.each += sums_time(node.results[0], target)

    def add(self, node: Node, come: Sequence[Value], target: Target) -> None:
        """Count a node that reads operands which come from other cores."""
        self.whole += vector_time(node, target) + sum(move_time(value, target) for value in come)
        rows, columns = _overlaps(node)
        # What follows a product reads rows of that: cores send them to each other.
        time = move_time(node.operands[0], target) * (1 if node.operands[0] in come else 2)
        self.rows += rows * time
        self.columns += columns * time


def _overlaps(node: Node) -> tuple[float, float]:
    """By how many rows and columns of the result the windows of a map overlap."""
    window = window_of(node)
    if window is None:
        return 0.0, 0.0
    spans = zip(window.kernel, window.dilations, window.strides, strict=True)
    over = [
        max(0.0, (kernel - 1) * dilation + 1 - stride) / stride
        for kernel, dilation, stride in spans
    ]
    return over[0], over[1] if len(over) > 1 else 0.0


def _work(
    graph: Graph, products: Collection[str], axes: Mapping[str, int | None], target: Target
) -> dict[str, _Work]:
    """The work of each product, and of all that follows it.

    What is no product runs where the rows of the operand that it follows are made, as long as there
    are rows.
    """
    leaders: dict[str, str] = {}
    ways = Ways.of(graph)
    work = {name: _Work() for name in products}
    for node in graph.nodes:
        name = node.results[0].name
        rows = [axes.get(operand.name) for operand in node.operands]
        leader = name if name in work else _leader(node, leaders, rows, axes, ways)
        if leader is None:
            continue
        leaders[name] = leader
        come = node.operands[:1]
        if name != leader:
            come = tuple(v for v in node.operands if leaders.get(v.name, leader) != leader)
        if joins_channels(node, rows):
            _add_codes(work, node, leaders, target)
        else:
            work[leader].add(node, come, target)
        if running(node, rows) is not None:
            work[leader].add_sums(node, target)
    return work


def _add_codes(
    work: Mapping[str, _Work], node: Node, leaders: Mapping[str, str], target: Target
) -> None:
    """A concatenation is not made; its operands get its codes where they are."""
    for operand in node.operands:
        made = as_in(node, operand, "")
        if made is not None and operand.name in leaders:
            work[leaders[operand.name]].add(made, (), target)


def _leader(
    node: Node,
    leaders: Mapping[str, str],
    rows: Sequence[int | None],
    axes: Mapping[str, int | None],
    ways: Ways,
) -> str | None:
    """The product on whose cores the rows of a node are made."""
    if axes[node.results[0].name] is None and running(node, rows) is None:
        return None
    return next((leaders[v.name] for v in ways.long_first(node) if v.name in leaders), None)
