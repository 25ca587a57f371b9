"""Cutting a tiled graph in rows, so that operations overlap as soon as their windows are there.

Every operation that can be is replaced by operations on runs of rows (`row_ranges`), and what
they read is put together by `Rows` where it is read: rows of other cores come over the network,
straight to where the window needs them, and rows that the window before had on the same core are
copied from there. The graph that this makes computes what the old one did, and goes the way of
every graph: an order, an address for every value, instructions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..ir.builder import GraphBuilder
from ..ir.graph import Graph, Node, Value
from ..ir.op import Op
from ..ir.ops.partial_sums import AddSums
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.rows import Rows, Span
from ..ir.ops.tiled import Tiled
from ..mapping.plan import MatrixPlan
from ..mapping.tiled_graph import TiledGraph
from .row_ranges import Need, part_of, row_axis, runs_of
from .running import Running, running

MOST_RUNS = 56  # of rows of an operation
_LEAST_AXES = 3  # an input of fewer axes has no rows


@dataclass(frozen=True)
class Block:
    """Rows [start, ...) of value `whole` along `axis`."""

    whole: str
    axis: int
    start: int


def whole_of(blocks: Mapping[str, Block], node: Node) -> str:
    """The value of which a node's result is a part, or the result."""
    name = node.results[0].name
    return blocks[name].whole if name in blocks else name


@dataclass(frozen=True, eq=False)
class Streamed:
    """A graph whose operations compute runs of rows.

    `cores` maps result names to cores. `blocks` says of which value a result is a part; results
    that are whole are not in it.
    """

    graph: Graph
    cores: Mapping[str, int]
    blocks: Mapping[str, Block]


def whole_operations(tiled: TiledGraph) -> Streamed:
    """The graph as it is: every operation in one piece."""
    return Streamed(tiled.graph, tiled.cores, {})


def stream_rows(tiled: TiledGraph, rows: int = MOST_RUNS, *, follow: bool = True) -> Streamed:
    """Cut operations in at most so many runs of rows.

    What is not a product runs where its rows are made, which is quick, or unless `follow` where the
    mapping has put it: there are the windows of all rows in one place, and take less memory.
    """
    splitter = _Splitter(tiled, rows, follow)
    for node in tiled.graph.nodes:
        splitter.add(node)
    graph = splitter.finish()
    return Streamed(graph, splitter.cores, splitter.blocks)


@dataclass(frozen=True)
class _Parts:
    """A value in parts: their rows along an axis, and the values that hold them."""

    axis: int
    spans: tuple[Span, ...]
    values: tuple[Value, ...]

    def over(self, start: int, stop: int) -> list[tuple[Value, Span, Span]]:
        """The parts that rows [start, stop) lie in: value, its rows, and those that are meant."""
        return [
            (value, span, (max(start, span[0]), min(stop, span[1])))
            for value, span in zip(self.values, self.spans, strict=True)
            if span[0] < stop and start < span[1]
        ]


class _Splitter:
    """The new graph while it is built."""

    def __init__(self, tiled: TiledGraph, rows: int, follow: bool) -> None:
        self.cores: dict[str, int] = {}
        self.blocks: dict[str, Block] = {}
        self._tiled = tiled
        self._old = tiled.graph
        self._rows = rows
        self._follow = follow
        self._builder = GraphBuilder(tiled.graph.name)
        self._whole = {
            value.name: self._builder.input(value.name, value.type) for value in tiled.graph.inputs
        }
        self._parts: dict[str, _Parts] = {}
        self._global: set[str] = set()  # values that the host has put in global memory
        self._assembled: dict[tuple[str, int, int, Span], Value] = {}
        self._last: dict[tuple[str, int, int], tuple[Span, Value]] = {}

    def finish(self) -> Graph:
        """The graph; outputs are whole, under their old names."""
        outputs = [self._whole[value.name] for value in self._old.outputs]
        return self._builder.finish(outputs, self._old.output_names)

    def add(self, node: Node) -> None:
        """Take one node over, in parts where that is possible."""
        if isinstance(node.op, Dequantize | Leave):
            self._add_output(node)
            return
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
        return parts.axis if parts else None

    def _add_output(self, node: Node) -> None:
        """What leaves the chip is put together in global memory."""
        value = node.operands[0]
        parts = self._parts.get(value.name)
        if parts is None:
            self._add_whole(node)
            return
        core = self.cores[parts.values[0].name]
        joined = self._join(value, Need(parts.axis, 0, value.type.shape[parts.axis]), core)
        self._take(node, (joined,), core)

    def _add_whole(self, node: Node) -> None:
        core = self._tiled.core_of(node)
        operands = tuple(self._complete(operand, core) for operand in node.operands)
        self._take(node, operands, core)
        if isinstance(node.op, Quantize | Enter) and node.result.type.rank >= _LEAST_AXES:
            self._global.add(node.result.name)

    def _take(self, node: Node, operands: Sequence[Value], core: int) -> None:
        names = [result.name for result in node.results]
        made = self._builder.add_many(node.op, operands, names, node.origin)
        self._whole.update(zip(names, made, strict=True))
        self.cores.update((value.name, core) for value in made)

    def _add_parts(self, node: Node, axis: int) -> None:
        spans = runs_of(node, axis, self._rows)
        values = tuple(self._add_part(node, axis, index, span) for index, span in enumerate(spans))
        self._parts[node.result.name] = _Parts(axis, spans, values)

    def _add_reduction(self, node: Node, reduction: Running) -> None:
        """Each run is reduced where it is; what comes of it goes to the core of the result."""
        name, core = node.result.name, self._tiled.core_of(node)
        before: Value | None = None
        for index, run in enumerate(self._parts[node.operands[0].name].values):
            part = self._reduced(
                node, reduction.part, (run,), f"{name}@{index}", self.cores[run.name]
            )
            if before is None:
                before = part
            elif reduction.adds:
                before = self._reduced(node, AddSums(), (before, part), f"{name}@..{index}", core)
            else:
                before = self._largest(node, reduction.part, (before, part), f"{name}@..{index}")
        assert before is not None
        self._take(replace(node, op=reduction.last), (before,), core)

    def _reduced(
        self, node: Node, op: Op, operands: Sequence[Value], name: str, core: int
    ) -> Value:
        made = self._builder.add(op, operands, name, node.origin)
        self.cores[made.name] = core
        return made

    def _largest(self, node: Node, op: Op, operands: Sequence[Value], name: str) -> Value:
        """The largest codes of two tensors, as rows of one."""
        core, axis = self._tiled.core_of(node), self._parts[node.operands[0].name].axis
        rows = Rows(axis, ((0, 1), (0, 1)))
        both = self._reduced(node, rows, operands, f"{name} both", core)
        return self._reduced(node, op, (both,), name, core)

    def _add_part(self, node: Node, axis: int, index: int, span: Span) -> Value:
        part = part_of(node, axis, span)
        core, op = self._core(node, part.needs, index), part.op
        if isinstance(op, Tiled):
            op = Tiled(op.product, self._plan(node, index))
        operands = [
            self._complete(operand, core) if need is None else self._some(operand, need, core)
            for operand, need in zip(node.operands, part.needs, strict=True)
        ]
        name = f"{node.result.name}@{span[0]}"
        value = self._builder.add(op, operands, name, node.origin)
        self.cores[value.name] = core
        self.blocks[value.name] = Block(node.result.name, axis, span[0])
        return value

    def _plan(self, node: Node, index: int) -> MatrixPlan:
        """Groups take the runs of rows in turn."""
        plans = self._tiled.plans(node)
        return plans[index % len(plans)]

    def _core(self, node: Node, needs: Sequence[Need | None], index: int) -> int:
        """A product runs where its weights are, all else where its rows are, or where it lies."""
        if isinstance(node.op, Tiled):
            return self._plan(node, index).home
        if not self._follow:
            return self._tiled.core_of(node)
        for operand, need in zip(node.operands, needs, strict=True):
            parts = self._parts.get(operand.name)
            if parts and need and parts.axis == need.axis:
                found = parts.over(need.start, need.stop)
                return self.cores[found[len(found) // 2][0].name]
        return self._tiled.core_of(node)

    def _complete(self, value: Value, core: int) -> Value:
        """A value as a whole, on a core."""
        parts, axis = self._parts.get(value.name), _first_axis(value)
        if parts is not None:
            return self._join(value, Need(parts.axis, 0, value.type.shape[parts.axis]), core)
        if value.name in self._global:
            return self._join(value, Need(axis, 0, value.type.shape[axis]), core)
        return self._plain(value)

    def _some(self, value: Value, need: Need, core: int) -> Value:
        """Rows of a value, on a core."""
        array = self._old.constant(value)
        if array is not None:
            return self._constant_rows(value, need)
        parts = self._parts.get(value.name)
        if parts is not None and parts.axis == need.axis:
            for part, span in zip(parts.values, parts.spans, strict=True):
                if span == (need.start, need.stop) and self.cores[part.name] == core:
                    return part
        elif (need.start, need.stop) == (0, value.type.shape[need.axis]):
            return self._complete(value, core)
        return self._join(value, need, core)

    def _constant_rows(self, value: Value, need: Need) -> Value:
        name = f"{value.name}@{need.axis}@{need.start}@{need.stop}"
        if name not in self._whole:
            index = (slice(None),) * need.axis + (slice(need.start, need.stop),)
            rows = self._old.constants[value.name][index]
            self._whole[name] = self._builder.constant(rows, name, value.type.quant)
        return self._whole[name]

    def _join(self, value: Value, need: Need, core: int) -> Value:
        """Rows that lie in several parts, or are some of a part, in one run of memory on a core."""
        span = (need.start, need.stop)
        key = (value.name, need.axis, core, span)
        if key not in self._assembled:
            joined = self._assemble(value, need, core)
            self._assembled[key] = joined
            self._last[value.name, need.axis, core] = (span, joined)
        return self._assembled[key]

    def _assemble(self, value: Value, need: Need, core: int) -> Value:
        start = need.start
        pieces: list[tuple[Value, Span]] = []
        before = self._last.get((value.name, need.axis, core))
        if before is not None and before[0][0] <= start < before[0][1]:
            (first, behind), held = before
            behind = min(behind, need.stop)
            pieces.append((held, (start - first, behind - first)))
            start = behind
        if start < need.stop:
            pieces += self._sources(value, need.axis, start, need.stop, core)
        op = Rows(need.axis, tuple(span for _, span in pieces))
        name = f"{value.name}@{need.start}..{need.stop}"
        producer = self._old.producer(value)
        origin = producer.origin if producer else ()
        joined = self._builder.add(op, [v for v, _ in pieces], name, origin)
        self.cores[joined.name] = core
        return joined

    def _sources(
        self, value: Value, axis: int, start: int, stop: int, core: int
    ) -> list[tuple[Value, Span]]:
        """Where rows are made: parts along this axis, else the whole value."""
        parts = self._parts.get(value.name)
        if parts is None:
            return [(self._plain(value), (start, stop))]
        if parts.axis != axis:
            return [(self._complete(value, core), (start, stop))]
        return [
            (part, (low - span[0], high - span[0]))
            for part, span, (low, high) in parts.over(start, stop)
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
