"""The test for placement: whether operations on one core fit its local memory."""

from __future__ import annotations

from collections.abc import Sequence

from imcc.isa import Target

from ..ir.graph import Graph, Node, Value
from ..mapping.placer import Fits
from .allocate import aligned, fit
from .layout import ELEMENTS
from .memory import intervals
from .options import ScheduleMode
from .order import Step
from .plans import Plan, all_requests
from .replica import Site, settle
from .room import largest, stream_check
from .scratch import requests
from .sliding import chains
from .streamed import Streamed
from .window import Border, border_of, bordered

# Cores of the test for placement: the one that is looked at, and one for all others.
_HERE, _ELSEWHERE = 0, -1


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
        asked = all_requests(Plan(Streamed(graph, {}, {}), steps, sites, residence))
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
