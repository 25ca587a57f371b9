"""Products that the same cores can hold in phases, so that less passes the global memory.

In phases what a product makes is stored, and loaded by those that read it. Where the parts of its
result are just what the parts of the next product are made of, as before a 1 x 1 convolution, one
core may make both, and nothing passes. Where two products read the same windows of a value it is
loaded once for both, and where two are added up neither waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError
from itertools import pairwise

from imcc.isa import Target

from ..ir.graph import Graph, Node, Value
from ..ir.ops.host import Host
from ..ir.ops.quantized import QConcat, QConv, QMatMul
from ..ir.ops.rows import Span
from ..mapping.shares import Demand, Teams
from .leading import shortcuts
from .parts import COLUMNS
from .pipeline import phase_numbers
from .row_ranges import RULES, has_strips, part_of
from .window import Window, product_of, window_of

Names = frozenset[str]

_NS_PER_US = 1000.0
_NONE: Names = frozenset()


def find_teams(
    graph: Graph, demands: Sequence[Demand], axes: Mapping[str, int | None], target: Target
) -> Teams:
    """Products put together where that saves most, as many as a core has arrays for.

    `axes` has the axis of the rows of each value.
    """
    if any(isinstance(node.op, Host) for node in graph.nodes):
        return Teams()
    known = _Known(graph, {demand.name: demand for demand in demands}, axes)
    teams = _teams(known, target)
    if not teams:
        return Teams()
    return Teams(teams, _memory_time(graph, teams, target), _memory_time(graph, (), target))


def _teams(known: _Known, target: Target) -> tuple[tuple[str, ...], ...]:
    """The teams, in the order of their first members."""
    team_of = {name: frozenset([name]) for name in known.demands}
    for chance in sorted(_chances(known)):
        joined = _NONE.union(*(team_of[name] for name in chance.names))
        if any(team_of[name] != joined for name in chance.names) and (
            _fits(joined, known, target) and _is_in_order(joined, set(team_of.values()), known)
        ):
            team_of.update(dict.fromkeys(joined, joined))
    order = {name: index for index, name in enumerate(known.demands)}
    found = (sorted(team, key=order.__getitem__) for team in set(team_of.values()) if len(team) > 1)
    return tuple(sorted(map(tuple, found), key=lambda team: order[team[0]]))


def _fits(joined: Names, known: _Known, target: Target) -> bool:
    """Whether products have room on a core, and take from each other just what each part needs."""
    arrays = sum(known.demands[name].footprint.arrays for name in joined)
    extents = {known.extents(known.nodes[name].result) for name in joined}
    strips = {known.demands[name].columns for name in joined}
    return (
        arrays <= target.core.arrays
        and len(extents) == len(strips) == 1
        and all(known.before[name] & joined <= known.handed(name) for name in joined)
    )


def _is_in_order(joined: Names, teams: Collection[Names], known: _Known) -> bool:
    """Whether no team needs what others make of its results."""
    several = [team for team in teams if len(team) > 1 and not team & joined]
    try:
        _phases(known.graph, map(tuple, [joined, *several]))
    except CycleError:
        return False
    return True


def _phases(graph: Graph, teams: Iterable[Sequence[str]]) -> Mapping[str, int]:
    return phase_numbers(graph, tuple(teams), QConv, QMatMul, QConcat)


@dataclass(frozen=True, order=True)
class _Chance:
    """Products that may be a team: those that save most come first."""

    cost: int
    names: tuple[str, ...]


def _chances(known: _Known) -> Iterator[_Chance]:
    """Teams that save something, each of as few products as can be."""
    for node in known.graph.nodes:
        name, made = node.results[0].name, known.made[node.results[0].name]
        if name in known.demands:
            if known.handed(name):
                yield _chance(known, node.operands[:1], {name, *known.handed(name)})
        elif len(made) > 1 and not isinstance(node.op, QConcat):
            read = [value for value in node.operands if known.made.get(value.name)]
            yield _chance(known, read[1:], made)
        for value in node.results:
            yield from _chances_to_share(known, value)


def _chances_to_share(known: _Known, value: Value) -> Iterator[_Chance]:
    """Pairs of products that read the same windows of a value."""
    users: dict[Window | None, list[str]] = {}
    for user in known.graph.users(value):
        if user.results[0].name in known.demands:
            users.setdefault(_overlapping(user), []).append(user.results[0].name)
    for names in users.values():
        yield from (_Chance(-value.type.size, pair) for pair in pairwise(names))


def _chance(known: _Known, values: Sequence[Value], names: Collection[str]) -> _Chance:
    """What is saved if values are neither stored nor loaded; or loaded, if others read them."""
    times = (1 + (len(known.graph.users(value)) == 1) for value in values)
    saved = sum(value.type.size * count for value, count in zip(values, times, strict=True))
    return _Chance(-saved, tuple(sorted(names)))


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of the values of a graph."""

    graph: Graph
    demands: Mapping[str, Demand]
    axes: Mapping[str, int | None]

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by their first results."""
        return {node.results[0].name: node for node in self.graph.nodes}

    @cached_property
    def made(self) -> Mapping[str, Names]:
        """The products on whose cores the parts of each value are made, if these are one team.

        Of some it is not just their own parts that others are made of: these have none.
        """
        made: dict[str, Names] = {}
        short = shortcuts(self.graph)
        for node in self.graph.nodes:
            found = self._makers(node, made, short[node.results[0].name])
            made.update((value.name, found) for value in node.results)
        return made

    def _makers(self, node: Node, made: Mapping[str, Names], short: Names) -> Names:
        name = node.results[0].name
        if self.axes[name] is None or len(node.results) > 1:
            return _NONE
        if name in self.demands:
            return frozenset([name]) if self.demands[name].footprint.cores == 1 else _NONE
        found = [
            made.get(operand.name, _NONE) if self._is_own(node, position) else _NONE
            for position, operand in enumerate(node.operands)
            if operand.name not in short and self.graph.constant(operand) is None
        ]
        return _NONE.union(*found) if all(found) else _NONE

    def handed(self, name: str) -> Names:
        """The products whose parts are just what those of a product are made of."""
        node = self.nodes[name]
        return self.made.get(node.operands[0].name, _NONE) if self._is_own(node, 0) else _NONE

    @cached_property
    def before(self) -> Mapping[str, Names]:
        """For each product those that what it reads is made of, with no product between."""
        before: dict[str, Names] = {}
        found = {}
        for node in self.graph.nodes:
            name = node.results[0].name
            sources = _NONE.union(*(before.get(value.name, _NONE) for value in node.operands))
            if name in self.demands:
                found[name], sources = sources, frozenset([name])
            before.update((value.name, sources) for value in node.results)
        return found

    def extents(self, value: Value) -> tuple[int | None, tuple[int, ...]]:
        """The axis of the rows of a value, and how far it reaches where it may be cut."""
        axis = self.axes.get(value.name)
        if axis is None:
            return None, ()
        last = COLUMNS if axis + 1 == COLUMNS else axis
        return axis, value.type.shape[axis : last + 1]

    def _is_own(self, node: Node, position: int) -> bool:
        """Whether each part of a result is made of just that part of an operand."""
        axis, operand = self.axes[node.results[0].name], node.operands[position]
        if axis is None or self.extents(operand) != self.extents(node.result):
            return False
        axes = (axis, COLUMNS) if has_strips(node, axis) else (axis,)
        box = {along: _middle(node, along) for along in axes}
        return part_of(node, box).needs[position] == box


def _middle(node: Node, axis: int) -> Span:
    """The rows or columns of a part away from the edges of a result, as few as there can be."""
    grain, extent = RULES[type(product_of(node.op))].grain(node, axis), node.result.type.shape[axis]
    start = extent // (2 * grain) * grain
    return start, min(start + grain, extent)


def _overlapping(user: Node) -> Window | None:
    """The windows that a node reads; None where it takes each element once."""
    window = window_of(user)
    single = window is None or max(window.kernel) == max(window.strides) == 1
    return None if single else window


def _memory_time(graph: Graph, teams: Sequence[Sequence[str]], target: Target) -> float:
    """Nanoseconds that the global memory is busy with what passes it from phase to phase."""
    phases, timing = _phases(graph, teams), target.timing
    size = sum(
        value.type.size * timing.moved(value.type.dtype.numpy.itemsize) * times
        for node in graph.nodes
        for value in node.results
        for times in [_times_passed(graph, node, value, phases)]
    )
    return size / timing.global_bytes_per_cycle / timing.clock_mhz * _NS_PER_US


def _times_passed(graph: Graph, node: Node, value: Value, phases: Mapping[str, int]) -> int:
    """How often a value is stored and loaded; a concatenation is loaded from what it is made of."""
    users = [
        user for user in graph.users(value) if phases[user.results[0].name] != phases[value.name]
    ]
    loads = {
        (phases[user.results[0].name], _overlapping(user))
        for user in users
        if not isinstance(user.op, QConcat)
    }
    return len(loads) + (bool(users) and not isinstance(node.op, QConcat))
