"""Cutting a tiled graph in rows, so that operations overlap as soon as their windows are there.

Every operation that can be is replaced by operations on runs of rows (`row_ranges`), and what
they read is put together by `Rows` where it is read: rows of other cores come over the network,
straight to where the window needs them, and rows that the window before had on the same core are
copied from there. The graph that this makes computes what the old one did, and goes the way of
every graph: an order, an address for every value, instructions.

Rows do not stream from one phase to the next: what crosses is stored in global memory part by part
and its rows are loaded where they are read. Phases are the stages of the mapping, or smaller where
local memory does not do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod

from ..ir.builder import GraphBuilder
from ..ir.graph import Node, Value
from ..ir.op import Op
from ..ir.ops.partial_sums import AddSums
from ..ir.ops.quant import Dequantize, Leave
from ..ir.ops.rows import Box, Rows, Span
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..mapping.shares import most_runs
from ..mapping.tiled_graph import TiledGraph
from .jobs import vector_time
from .leading import least_busy, long_ways_first, shortcuts
from .order import is_loaded
from .parts import COLUMNS, Parts, full_box, shifted, starts
from .rounds import rounds
from .row_ranges import Need, has_strips, part_of, row_axis, runs, runs_behind, runs_of, strips_of
from .running import Running, running
from .streamed import Block, Streamed
from .window import windows_at_once

Piece = tuple[Value, Box, tuple[int, ...]]  # of a value a box, and where it goes


def stream_rows(
    tiled: TiledGraph, *, follow: bool = True, phases: Mapping[str, int] | None = None
) -> Streamed:
    """Cut operations in runs of rows, and in strips of columns where the mapping has them.

    Phases are the stages if not given.

    What is not a product runs where its rows are made, which is quick, or unless `follow` where the
    mapping has put it: there are the windows of all rows in one place, and take less memory.
    """
    return RowSplitter(tiled, tiled.stages if phases is None else phases, follow).split()


class RowSplitter:
    """The new graph while it is built."""

    def __init__(self, tiled: TiledGraph, phases: Mapping[str, int], follow: bool) -> None:
        self.cores: dict[str, int] = {}
        self.blocks: dict[str, Block] = {}
        self.phases: dict[str, int] = {}
        self._old_phases = dict(phases)
        self._phase = 0  # of the node that is added
        self._tiled = tiled
        self._old = tiled.graph
        self._follow = follow
        self._busy: dict[int, float] = defaultdict(float)  # ns of work that is no product's
        self._shortcuts = dict(shortcuts(tiled.graph))
        self._builder = GraphBuilder(tiled.graph.name)
        self._whole = {
            value.name: self._builder.input(value.name, value.type) for value in tiled.graph.inputs
        }
        self._parts: dict[str, Parts] = {}
        self._global: set[str] = set()  # values in global memory: the host's, and what waits
        self._waiting: dict[str, int] = {}  # values in global memory: the axis of their rows
        self._spilled: dict[str, Value] = {}
        self._origins: dict[str, tuple[str, ...]] = {}
        self._assembled: dict[tuple[str, tuple[int, ...], int, Box], Value] = {}
        self._last: dict[tuple[str, tuple[int, ...], int, Box], tuple[Span, Value]] = {}

    def split(self) -> Streamed:
        """Take all nodes over; outputs are whole, under their old names."""
        for node in self._old.nodes:
            self.add(node)
        outputs = [self._whole[value.name] for value in self._old.outputs]
        graph = self._builder.finish(outputs, self._old.output_names)
        return Streamed(graph, self.cores, self.blocks, self.phases)

    def add(self, node: Node) -> None:
        """Take one node over, in parts where that is possible."""
        self._phase = self._old_phases.get(node.results[0].name, 0)
        self._origins.update((value.name, node.origin) for value in node.results)
        if isinstance(node.op, Dequantize | Leave):
            self._add_output(node)
            return
        node = replace(node, operands=tuple(map(self._here, node.operands)))
        axes = [self._axis(operand) for operand in node.operands]
        axis = row_axis(node, axes) if len(node.results) == 1 else None
        reduction = running(node, axes)
        if reduction is not None:
            self._add_reduction(node, reduction)
        elif axis is None:
            self._add_whole(node)
        else:
            self._add_parts(node, axis)

    def _axis(self, value: Value) -> int | None:
        parts = self._parts.get(value.name)
        return parts.axes[0] if parts else self._waiting.get(value.name)

    def _here(self, value: Value) -> Value:
        """A value for this phase: what an earlier one has made in parts waits in global memory."""
        same = self._old_phases.get(value.name, 0) == self._phase
        parts = self._parts.get(value.name)
        if same or (parts is None and value.name not in self._global):
            return value
        here = Value(f"{value.name}@{self._phase}", value.type)
        if here.name not in self._global:
            self._global.add(here.name)
            self._origins[here.name] = self._origins[value.name]
            self._whole[here.name] = self._spill(value, parts) if parts else self._plain(value)
            if parts:
                self._waiting[here.name] = parts.axes[0]
        return here

    def _spill(self, value: Value, parts: Parts) -> Value:
        """A value in global memory, where its parts are stored in the phase that makes them."""
        if value.name not in self._spilled:
            core, phase = self.cores[parts.values[0].name], self._old_phases.get(value.name, 0)
            box, origin = parts.box(value, {}), self._origins[value.name]
            pieces = self._sources(value, parts.axes, box, core, starts(box))
            stored = self._put_together(f"{value.name}@stored", parts.axes, pieces, origin)
            spilled = self._builder.add(Spill(), [stored], f"{value.name}@global", origin)
            for made in (stored, spilled):
                self.cores[made.name], self.phases[made.name] = core, phase
            self._spilled[value.name] = spilled
        return self._spilled[value.name]

    def _place(self, value: Value, core: int) -> Value:
        """Note where and when a value is made."""
        self.cores[value.name], self.phases[value.name] = core, self._phase
        return value

    def _add_output(self, node: Node) -> None:
        """What leaves the chip is put together in global memory."""
        value = node.operands[0]
        parts = self._parts.get(value.name)
        if parts is None:
            self._add_whole(node)
            return
        core = self.cores[parts.values[0].name]
        self._take(node, (self._join(value, parts.axes, parts.box(value, {}), core),), core)

    def _add_whole(self, node: Node) -> None:
        core = self._tiled.core_of(node)
        operands = tuple(self._complete(operand, core) for operand in node.operands)
        self._take(node, operands, core)
        if is_loaded(node):
            self._global.add(node.result.name)

    def _take(self, node: Node, operands: Sequence[Value], core: int) -> None:
        names = [result.name for result in node.results]
        made = self._builder.add_many(node.op, operands, names, node.origin)
        self._whole.update(zip(names, made, strict=True))
        for value in made:
            self._place(value, core)

    def _add_parts(self, node: Node, axis: int) -> None:
        strips = self._strips(node, axis)
        runs = self._runs(node, axis, len(strips) if strips else 1)
        axes = (axis, COLUMNS) if strips else (axis,)
        cuts = (runs, strips) if strips else (runs,)
        groups = self._groups(node, cuts)
        values = tuple(
            self._add_part(node, dict(zip(axes, box, strict=True)), group)
            for group, box in zip(groups, product(*cuts), strict=True)
        )
        self._parts[node.result.name] = Parts(axes, cuts, values)

    def _runs(self, node: Node, axis: int, strips: int) -> tuple[Span, ...]:
        """As soon as a run of the operand that it follows is there, there is one of the result.

        Not where the copies of a product would take more rounds for that than for even runs.
        """
        ways = long_ways_first(node, self._shortcuts)
        followed = next((value for value in ways if value.name in self._parts), ways[0])
        parts = self._parts.get(followed.name)
        if isinstance(node.op, Tiled):
            most = most_runs(strips, len(self._tiled.plans(node)) // strips)
        else:
            most = max(most_runs(strips), len(parts.rows) if parts else 1)
        even = runs_of(node, axis, most)
        if parts is None:
            return even
        edges = [stop for _, stop in parts.rows]
        soon = runs_behind(node, axis, node.operands.index(followed), parts.axes[0], edges, most)
        if not isinstance(node.op, Tiled):
            return soon
        plans = self._tiled.plans(node)
        return min(soon, even, key=lambda cut: rounds(node, plans, cut, strips))

    def _strips(self, node: Node, axis: int) -> tuple[Span, ...] | None:
        """Strips of columns: of a product as it is mapped, else as of what it reads."""
        if not has_strips(node, axis):
            return None
        columns = node.result.type.shape[COLUMNS]
        if isinstance(node.op, Tiled):
            count = self._strip_count(node, axis)
            return strips_of(columns, count, windows_at_once(node)[-1]) if count > 1 else None
        for operand in long_ways_first(node, self._shortcuts):
            parts = self._parts.get(operand.name)
            if parts is not None and parts.strips:
                if operand.type.shape[COLUMNS] == columns:
                    return parts.strips
                return strips_of(columns, len(parts.strips))
        return None

    def _strip_count(self, node: Node, axis: int) -> int:
        """The strips of a product."""
        return self._tiled.strips.get(node.result.name, 1)

    def _add_reduction(self, node: Node, reduction: Running) -> None:
        """Runs are reduced where they are, one after the other; then what came of each core."""
        name, here = node.result.name, self._tiled.core_of(node)
        found: dict[int, Value] = {}
        for index, run in enumerate(self._reducible(node.operands[0], reduction, here)):
            core = self.cores[run.name]
            part = self._reduced(node, reduction.part, (run,), f"{name}@{index}", core)
            before = found.get(core)
            two = None if before is None else (before, part)
            found[core] = self._both(node, reduction, two, f"{name}@..{index}") if two else part
        left = sorted(found.values(), key=lambda value: self.cores[value.name] != here)
        while len(left) > 1:
            pairs = zip(left[::2], left[1::2], strict=False)
            single = left[len(left) // 2 * 2 :]
            left = [self._both(node, reduction, two, f"{two[0].name}+") for two in pairs] + single
        self._take(replace(node, op=reduction.last), (left[0],), here)

    def _reducible(self, value: Value, reduction: Running, core: int) -> Iterator[Value]:
        """The parts of a value, with all columns where these are not reduced."""
        parts = self._parts.get(value.name)
        if parts is None:
            axis = self._waiting[value.name]
            for run in runs(value.type.shape[axis], most_runs(1)):
                yield self._join(value, (axis,), (run,), core)
            return
        if not parts.strips or COLUMNS in reduction.axes:
            yield from parts.values
            return
        for index, run in enumerate(parts.rows):
            there = self.cores[parts.values[index * len(parts.strips)].name]
            yield self._join(value, parts.axes, parts.box(value, {parts.axes[0]: run}), there)

    def _reduced(
        self, node: Node, op: Op, operands: Sequence[Value], name: str, core: int
    ) -> Value:
        return self._place(self._builder.add(op, operands, name, node.origin), core)

    def _both(self, node: Node, reduction: Running, two: tuple[Value, Value], name: str) -> Value:
        """What comes of two parts together, where the first one is."""
        core, axis = self.cores[two[0].name], self._axis(node.operands[0])
        if reduction.adds:
            return self._reduced(node, AddSums(), two, name, core)
        assert axis is not None
        rows = self._reduced(node, Rows.along(axis, ((0, 1), (0, 1))), two, f"{name} both", core)
        return self._reduced(node, reduction.part, (rows,), name, core)

    def _add_part(self, node: Node, box: Mapping[int, Span], group: int) -> Value:
        part = part_of(node, box)
        core, op = self._core(node, part.needs, group), part.op
        if isinstance(op, Tiled):
            op = Tiled(op.product, self._tiled.plans(node)[group])
        operands = [
            self._some(operand, need, core)
            for operand, need in zip(node.operands, part.needs, strict=True)
        ]
        origin = tuple(start for start, _ in box.values())
        name = f"{node.result.name}@{','.join(map(str, origin))}"
        value = self._place(self._builder.add(op, operands, name, node.origin), core)
        if not isinstance(op, Tiled):
            made = Node(op, tuple(operands), (value,), node.origin)
            self._busy[core] += vector_time(made, self._tiled.target)
        self.blocks[value.name] = Block(node.result.name, tuple(box), origin)
        return value

    def _groups(self, node: Node, cuts: Sequence[Sequence[Span]]) -> Iterator[int]:
        """The group of each part; there are as many as strips, or a multiple of that."""
        runs, strips = len(cuts[0]), prod(map(len, cuts[1:]))
        groups = len(self._tiled.plans(node)) if isinstance(node.op, Tiled) else 1
        turns = max(groups // strips, 1)
        for run in range(runs):
            turn = self._turn(run, runs, turns)
            yield from ((turn * strips + strip) % groups for strip in range(strips))

    def _turn(self, run: int, runs: int, turns: int) -> int:
        """Which of so many groups makes a run."""
        return run % turns

    def _core(self, node: Node, needs: Sequence[Need], group: int) -> int:
        """A product runs where its weights are, all else where its rows are, or where it lies."""
        if isinstance(node.op, Tiled):
            return self._tiled.plans(node)[group].home
        if not self._follow:
            return self._tiled.core_of(node)
        wanted = {v.name: need for v, need in zip(node.operands, needs, strict=True) if need}
        for operand in long_ways_first(node, self._shortcuts):
            need = wanted.get(operand.name)
            parts = None if need is None else self._along(operand, need)
            if need is not None and parts is not None:
                return least_busy(parts.over(parts.box(operand, need)), self.cores, self._busy)
        return self._spare_core(node)

    def _spare_core(self, node: Node) -> int:
        """A core for an operation of which no core has rows."""
        return self._tiled.core_of(node)

    def _along(self, value: Value, axes: Iterable[int]) -> Parts | None:
        """The parts of a value, if a box along these axes can be put together from them."""
        parts = self._parts.get(value.name)
        return None if parts is None else parts.with_axes(value, axes)

    def _complete(self, value: Value, core: int) -> Value:
        """A value as a whole, on a core."""
        parts = self._parts.get(value.name)
        if parts is not None:
            return self._join(value, parts.axes, parts.box(value, {}), core)
        if value.name in self._global:
            axes = (_first_axis(value),)
            return self._join(value, axes, full_box(value, axes, {}), core)
        return self._plain(value)

    def _some(self, value: Value, need: Need, core: int) -> Value:
        """A part of a value, on a core."""
        if self._old.constant(value) is not None:
            return self._constant_part(value, need)
        parts = self._along(value, need)
        if parts is not None:
            wanted = parts.box(value, need)
            part = parts.part(wanted)
            if part is not None and self.cores[part.name] == core:
                return part
            return self._join(value, parts.axes, wanted, core)
        axes = tuple(sorted(need))
        box = full_box(value, axes, need)
        if box == full_box(value, axes, {}):
            return self._complete(value, core)
        return self._join(value, axes, box, core)

    def _constant_part(self, value: Value, need: Need) -> Value:
        if not need:
            return self._plain(value)
        name = "@".join([value.name, *(f"{axis}:{a}:{b}" for axis, (a, b) in need.items())])
        if name not in self._whole:
            rank = value.type.rank
            index = tuple(slice(*need.get(axis, (None,))) for axis in range(rank))
            part = self._old.constants[value.name][index]
            self._whole[name] = self._builder.constant(part, name, value.type.quant)
        return self._whole[name]

    def _join(self, value: Value, axes: tuple[int, ...], box: Box, core: int) -> Value:
        """What lies in several parts, or is some of a part, in one run of memory on a core."""
        key = (value.name, axes, core, box)
        if key not in self._assembled:
            joined = self._assemble(value, axes, box, core)
            self._assembled[key] = joined
            self._last[value.name, axes, core, box[1:]] = (box[0], joined)
        return self._assembled[key]

    def _assemble(self, value: Value, axes: tuple[int, ...], box: Box, core: int) -> Value:
        """Rows that the same columns had before on this core come first, and slide up."""
        (start, stop), columns = box[0], box[1:]
        pieces: list[Piece] = []
        before = self._last.get((value.name, axes, core, columns))
        if before is not None and before[0][0] <= start < before[0][1]:
            (first, behind), held = before
            kept = ((start, min(behind, stop)), *columns)
            pieces.append((held, shifted(kept, (first, *starts(columns))), (0,) * len(axes)))
            start = kept[0][1]
        if start < stop:
            pieces += self._sources(value, axes, ((start, stop), *columns), core, starts(box))
        spans = ",".join(f"{a}..{b}" for a, b in box)
        name, origin = f"{value.name}@{spans}", self._origins.get(value.name, ())
        return self._place(self._put_together(name, axes, pieces, origin), core)

    def _put_together(
        self, name: str, axes: tuple[int, ...], pieces: Sequence[Piece], origin: tuple[str, ...]
    ) -> Value:
        values, boxes, places = zip(*pieces, strict=True)
        return self._builder.add(Rows(axes, boxes, places), values, name, origin)

    def _sources(
        self, value: Value, axes: tuple[int, ...], box: Box, core: int, origin: tuple[int, ...]
    ) -> list[Piece]:
        """Where a box is made, parts along these axes or the whole value, and where it goes."""
        if value.name not in self._parts:
            return [(self._plain(value), box, starts(shifted(box, origin)))]
        parts = self._along(value, axes)
        if parts is None or parts.axes != axes:
            return [(self._complete(value, core), box, starts(shifted(box, origin)))]
        return [
            (part, shifted(meant, starts(held)), starts(shifted(meant, origin)))
            for part, held, meant in parts.over(box)
        ]

    def _plain(self, value: Value) -> Value:
        """The value of the same name; constants come when they are first read."""
        if value.name not in self._whole:
            array = self._old.constants[value.name]
            self._whole[value.name] = self._builder.constant(array, value.name, value.type.quant)
        return self._whole[value.name]


def _first_axis(value: Value) -> int:
    """Rows of a map are those of its first spatial axis, else those of axis 1."""
    return min(2, value.type.rank - 1)
