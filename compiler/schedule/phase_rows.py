"""Cutting a tiled graph in rows for phases that each work on another input.

No phase waits for rows of another, so a group of cores makes rows that lie together: only those at
its edges are read by its neighbours as well. What no core has rows of runs where the least is done
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import ceil, lcm

from ..ir.graph import Node, Value
from ..ir.ops.rows import Span
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..mapping.tiled_graph import TiledGraph
from .jobs import busy_times, vector_time
from .parts import COLUMNS
from .row_ranges import RULES
from .stream_rows import RowSplitter
from .streamed import Streamed
from .window import product_of, window_of

# Runs of a group: while one is computed the next is loaded.
_RUNS = 4
# The part of a core's local memory that a run of codes may take.
_ROOM = 0.125
# What is done where there is time for it is cut in parts of this share of the longest time. Smaller
# ones read more rows twice: GoogLeNet's poolings of 0.06 keep the global memory busy for 336 us, of
# 0.3 for 308.
_GRAIN = 0.3


def rows_in_phases(tiled: TiledGraph, phases: Mapping[str, int]) -> Streamed:
    """Cut operations in runs of rows, and in strips of columns where groups share rows."""
    return _PhaseSplitter(tiled, phases).split()


class _PhaseSplitter(RowSplitter):
    """The new graph while it is built; `_busy` is what each core has to do, in ns."""

    def __init__(self, tiled: TiledGraph, phases: Mapping[str, int]) -> None:
        super().__init__(tiled, phases)
        self._teams = _teams(tiled)
        self._busy = busy_times(tiled)
        self._longest = max(self._busy.values())

    def _here(self, value: Value) -> Value:
        return (
            self._whole_from_before(value) if self._is_left_whole(value) else super()._here(value)
        )

    def _followed(self, value: Value) -> Value:
        """What reads a concatenation runs where the least is done, not where an operand is made."""
        return value

    def _is_left_whole(self, value: Value) -> bool:
        """Whether an earlier phase has made a value as a whole, in local memory."""
        made = value.name in self.cores and not self._is_of_phase(value)
        return made and value.name not in self._parts and value.name not in self._global

    def _whole_from_before(self, value: Value) -> Value:
        """A value that waits in global memory, where it is stored in the phase that makes it."""
        here = Value(f"{value.name}@{self._phase}", value.type)
        if value.name not in self._spilled:
            origin, name = self._origins[value.name], f"{value.name}@global"
            spilled = self._builder.add(Spill(), [self._plain(value)], name, origin)
            self.cores[spilled.name] = self.cores[value.name]
            self.phases[spilled.name] = self._old_phases[value.name]
            self._spilled[value.name] = spilled
        self._global.add(here.name)
        self._origins[here.name] = self._origins[value.name]
        self._whole[here.name] = self._spilled[value.name]
        return here

    def _runs(self, node: Node, axis: int, strips: int) -> tuple[Span, ...]:
        if isinstance(node.op, Tiled):
            turns, team = len(self._tiled.plans(node)) // strips, self._team(node)
            grain = lcm(*(_grain(member, axis) for member in team))
            each = max(map(self._least_runs, team))
            if not any(map(self._exchanges, team)):
                each = max(_RUNS, each)
            return _runs_apart(node, axis, turns, each, grain)
        if any(operand.name in self._parts for operand in node.operands):
            return super()._runs(node, axis, strips)
        time = sum(vector_time(one, self._tiled.target) for one in self._in_place(node))
        parts = max(1, ceil(time / (_GRAIN * self._longest or 1)))
        return _runs_apart(node, axis, parts, 1, _grain(node, axis))

    def _turn(self, run: int, runs: int, turns: int) -> int:
        return run * turns // runs

    def _strip_grain(self, node: Node) -> int:
        return lcm(*(super(_PhaseSplitter, self)._strip_grain(one) for one in self._team(node)))

    def _strip_count(self, node: Node, axis: int) -> int:
        """What gives the largest part the least windows."""
        shape, groups = node.result.type.shape, len(self._tiled.plans(node))
        rows, columns = shape[axis], shape[COLUMNS]
        counts = (count for count in range(1, groups + 1) if groups % count == 0)
        return min(counts, key=lambda n: -(-rows * n // groups) * -(-columns // n))

    def _team(self, node: Node) -> tuple[Node, ...]:
        """The products whose parts are those of a product, on the same cores."""
        return self._teams.get(node.result.name, (node,))

    def _least_runs(self, node: Node) -> int:
        """Runs of each group of a product for which local memory has room."""
        most = _ROOM * self._tiled.target.core.local_memory_bytes
        return ceil(node.result.type.size / len(self._tiled.plans(node)) / most)

    def _exchanges(self, node: Node) -> bool:
        """Whether cores exchange what they make of a product in its phase."""
        return len(self._tiled.plans(node)[0].cores()) > 1 or self._is_met(node)

    def _in_place(self, node: Node) -> Iterator[Node]:
        """An operation and those behind it in its phase, which run where its rows are made."""
        phase, open_, seen = self._old_phases[node.result.name], [node], {node.result.name}
        while open_:
            one = open_.pop()
            yield one
            for user in self._old.users(one.results[0]):
                name = user.results[0].name
                if self._old_phases[name] == phase and name not in seen:
                    seen.add(name)
                    open_.append(user)

    def _is_met(self, node: Node) -> bool:
        """Whether windows of the same phase reach over the rows that a product makes.

        Then cores exchange rows at the edges of their parts, which they do once and not often.
        """
        windows = (window_of(user) for user in self._in_place(node) if user is not node)
        return any(window is not None and max(window.kernel) > 1 for window in windows)

    def _spare_core(self, node: Node) -> int:
        return min(self._busy, key=lambda core: (self._busy[core], core))


def _runs_apart(node: Node, axis: int, groups: int, each: int, grain: int) -> tuple[Span, ...]:
    """Runs of rows for groups that share the rows of a result as equally as they can.

    Each of so many groups has `each` runs that lie together, or as many as it has rows. Runs begin
    at multiples of `grain`.
    """
    rows = node.result.type.shape[axis]
    pieces = max(1, min(groups * each, rows // grain))
    edges = [rows // grain * piece // pieces * grain for piece in range(pieces)]
    return tuple(pairwise([*edges, rows]))


def _grain(node: Node, axis: int) -> int:
    return RULES[type(product_of(node.op))].grain(node, axis)


def _teams(tiled: TiledGraph) -> Mapping[str, tuple[Node, ...]]:
    """The members of each product's team, for those that have one."""
    nodes = {node.result.name: node for node, _ in tiled.products()}
    return {name: tuple(map(nodes.__getitem__, team)) for team in tiled.teams for name in team}
