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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import ceil, prod

from ..ir.graph import Node, Value
from ..ir.op import Op
from ..ir.ops.partial_sums import AddSums
from ..ir.ops.quant import Dequantize, Leave
from ..ir.ops.rows import Rows, Span
from ..ir.ops.tiled import Tiled
from ..mapping.runs import most_runs
from ..mapping.tiled_graph import TiledGraph
from .channel_joins import ChannelJoiner
from .copy_rounds import rounds
from .cuts import runs, runs_behind, runs_of, strips_of
from .jobs import vector_time
from .leading import Ways, least_busy
from .order import is_loaded
from .parts import COLUMNS, Parts
from .row_ranges import Need, has_strips, part_of, row_axis
from .running import Running, running
from .streamed import Block, Streamed
from .window import windows_at_once

_FEW = 2  # parts of a sum, which are as soon put together on one core


def stream_rows(
    tiled: TiledGraph,
    *,
    follow: bool = True,
    phases: Mapping[str, int] | None = None,
    finer: int = 1,
    hands_on: bool = False,
) -> Streamed:
    """Cut operations in runs of rows, and in strips of columns where the mapping has them.

    Phases are the stages if not given.

    What is not a product runs where its rows are made, which is quick, or unless `follow` where the
    mapping has put it: there are the windows of all rows in one place, and take less memory.
    `finer` runs are as much shorter than the mapping was made for, and take less memory too.
    For `hands_on` see `Streamed`.
    """
    phases = tiled.stages if phases is None else phases
    return RowSplitter(tiled, phases, follow, finer, hands_on).split()


class RowSplitter(ChannelJoiner):
    """The new graph while it is built."""

    def __init__(
        self,
        tiled: TiledGraph,
        phases: Mapping[str, int],
        follow: bool = True,
        finer: int = 1,
        hands_on: bool = False,
    ) -> None:
        super().__init__(tiled, phases)
        self._follow = follow
        self._finer, self._rounds = finer * tiled.finer, tiled.rounds
        self._busy: dict[int, float] = defaultdict(float)  # ns of work that is no product's
        self._ways = Ways.of(tiled.graph)
        self._hands_on = hands_on

    def split(self) -> Streamed:
        """Take all nodes over; outputs are whole, under their old names."""
        for node in self._old.nodes:
            self.add(node)
        outputs = [self._whole[value.name] for value in self._old.outputs]
        graph = self._builder.finish(outputs, self._old.output_names)
        return Streamed(graph, self.cores, self.blocks, self.phases, self._hands_on)

    def add(self, node: Node) -> None:
        """Take one node over, in parts where that is possible."""
        if self._is_join(node):
            self._add_join(node)
            return
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
        core = self._mapped[node.results[0].name]
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

        Not where the copies of a product would take more rounds for that than for even runs. What
        is no product has all runs of what it follows, and cuts only what is longer than most are:
        or each of a chain of operators would cut the runs of the one before.
        """
        ways = self._ways.long_first(node)
        made = (value for value in ways if self._followed(value).name in self._parts)
        followed = next(made, ways[0])
        parts = self._parts.get(self._followed(followed).name)
        plans = self._tiled.plans(node) if isinstance(node.op, Tiled) else ()
        most = most_runs(strips, max(1, len(plans) // strips), self._finer, self._rounds)
        longest: int | Fraction = Fraction(node.result.type.shape[axis], most)
        if parts is not None and not plans:
            most, longest = max(most, len(parts.rows)), ceil(longest)
        even = runs_of(node, axis, most)
        if parts is None:
            return even
        edges, operand = [stop for _, stop in parts.rows], node.operands.index(followed)
        soon = runs_behind(node, axis, operand, parts.axes[0], edges, most, longest)
        if not plans:
            return soon
        return min(soon, even, key=lambda cut: rounds(node, plans, cut, strips))

    def _strips(self, node: Node, axis: int) -> tuple[Span, ...] | None:
        """Strips of columns: of a product as it is mapped, else as of what it reads."""
        if not has_strips(node, axis):
            return None
        columns = node.result.type.shape[COLUMNS]
        if isinstance(node.op, Tiled):
            count = self._strip_count(node, axis)
            return strips_of(columns, count, self._strip_grain(node)) if count > 1 else None
        for operand in self._ways.long_first(node):
            parts = self._parts.get(self._followed(operand).name)
            if parts is not None and parts.strips:
                if operand.type.shape[COLUMNS] == columns:
                    return parts.strips
                return strips_of(columns, len(parts.strips))
        return None

    def _strip_grain(self, node: Node) -> int:
        """What the columns of a product's strips are multiples of."""
        return windows_at_once(node)[-1]

    def _strip_count(self, node: Node, axis: int) -> int:
        """The strips of a product."""
        return self._tiled.strips.get(node.result.name, 1)

    def _add_reduction(self, node: Node, reduction: Running) -> None:
        """Runs are reduced where they are, one after the other; then what came of each core."""
        name, here = node.result.name, self._mapped[node.result.name]
        found: dict[int, Value] = {}
        for index, run in enumerate(self._reducible(node.operands[0], reduction, here)):
            core = self.cores[run.name]
            part = self._reduced(node, reduction.part, (run,), f"{name}@{index}", core)
            before = found.pop(core, None)
            two = None if before is None else (before, part)
            found[core] = self._both(node, reduction, two, f"{name}@..{index}") if two else part
        whole = self._whole_sum if reduction.adds and self._hands_on else self._by_twos
        total = whole(node, reduction, tuple(found.values()), here)
        self._take(replace(node, op=reduction.last), (total,), here)

    def _by_twos(self, node: Node, reduction: Running, parts: Sequence[Value], here: int) -> Value:
        """What came of all parts, two put together at a time."""
        left = sorted(parts, key=lambda value: self.cores[value.name] != here)
        while len(left) > 1:
            pairs = zip(left[::2], left[1::2], strict=False)
            single = left[len(left) // 2 * 2 :]
            left = [self._both(node, reduction, two, f"{two[0].name}+") for two in pairs] + single
        return left[0]

    def _whole_sum(
        self, node: Node, reduction: Running, parts: Sequence[Value], here: int
    ) -> Value:
        """The sum of all parts: each core adds up a range of it, the last part last."""
        shape = parts[0].type.shape
        axis = max(range(1, len(shape)), key=lambda number: shape[number])
        if not _FEW < len(parts) <= shape[axis]:
            return self._by_twos(node, reduction, parts, here)
        spans = strips_of(shape[axis], len(parts))
        sums = [
            self._sum_of_range(node, parts, axis, span, self.cores[part.name])
            for part, span in zip(parts, spans, strict=False)
        ]
        joined = Rows.along(axis, [(0, stop - start) for start, stop in spans])
        return self._reduced(node, joined, sums, f"{node.result.name}@sums", here)

    def _sum_of_range(
        self, node: Node, parts: Sequence[Value], axis: int, span: Span, core: int
    ) -> Value:
        """The sum of a range of all parts, on a core."""
        name = f"{node.result.name}@{core}"
        taken = [
            self._reduced(node, Rows.along(axis, [span]), [part], f"{name}<{number}", core)
            for number, part in enumerate(parts)
        ]
        total = taken[0]
        for number, one in enumerate(taken[1:], 1):
            total = self._reduced(node, AddSums(), (total, one), f"{name}+{number}", core)
        return total

    def _reducible(self, value: Value, reduction: Running, core: int) -> Iterator[Value]:
        """The parts of a value, with all columns where these are not reduced."""
        parts = self._parts.get(value.name)
        if parts is None:
            axis = self._waiting[value.name]
            for run, there in self._places(value, axis, core):
                yield self._some(value, {axis: run}, there)
            return
        if not parts.strips or COLUMNS in reduction.axes:
            yield from parts.values
            return
        for index, run in enumerate(parts.rows):
            there = self.cores[parts.values[index * len(parts.strips)].name]
            yield self._join(value, parts.axes, parts.box(value, {parts.axes[0]: run}), there)

    def _places(self, value: Value, axis: int, core: int) -> Iterator[tuple[Span, int]]:
        """Runs of a value without parts, and where they are put together: on a core if waiting."""
        followed = self._parts.get(self._followed(value).name)
        if followed is None:
            yield from ((run, core) for run in runs(value.type.shape[axis], most_runs(1)))
            return
        first = followed.values[:: len(followed.values) // len(followed.rows)]
        yield from ((r, self.cores[v.name]) for r, v in zip(followed.rows, first, strict=True))

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
        """The group of each part.

        If there are as many as strips, or a multiple of that, a group makes parts of one strip.
        """
        runs, strips = len(cuts[0]), prod(map(len, cuts[1:]))
        groups = len(self._tiled.plans(node)) if isinstance(node.op, Tiled) else 1
        if groups % strips:
            yield from (number % groups for number in range(runs * strips))
            return
        turns = groups // strips
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
            return self._mapped[node.results[0].name]
        wanted = {v.name: need for v, need in zip(node.operands, needs, strict=True) if need}
        for operand in self._ways.long_first(node):
            need, followed = wanted.get(operand.name), self._followed(operand)
            parts = None if need is None else self._along(followed, need)
            if need is not None and parts is not None:
                return least_busy(parts.over(parts.box(followed, need)), self.cores, self._busy)
        return self._spare_core(node)

    def _spare_core(self, node: Node) -> int:
        """A core for an operation of which no core has rows."""
        return self._mapped[node.results[0].name]
