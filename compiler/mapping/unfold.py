"""Choosing parallel windows for convolutions (`unfolding`), and putting them in the graph.

Parallel windows save cycles where a kernel leaves columns of its arrays free, and take more rows.
Copies of the weights on other arrays save time too, so that arrays have a price:

- Where each product lies on the chip once, the sum of all times is least on the arrays there are.
- Where products are shared out over the chip (`shares`), the time of the slowest is least; then
  each product has the parallel windows with which it takes the smallest part of the chip.

Candidates are counted as `unfolding` counts them; what remains is cut for the target, so that
arrays, row blocks and times are those of a program. A parallel window that needs more than one core
is not taken, nor one that takes as much time as copies of single windows on the same arrays, nor
one that a converter would tell apart less finely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from imcc.isa.target import Target

from ..errors import UnsupportedError
from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.parallel_windows import QParallelConv, counted, widened
from ..ir.ops.quantized import QConv
from .choices import Choices, optimum
from .options import TileOptions
from .partition import ACCUMULATOR_LIMIT, Cut, logical_rows
from .regions import Cutter
from .shares import Demands, Footprint, Room, Table, least_time
from .tiling import Sharing, cutter_of, footprint
from .unfolding import Convolution, ParallelWindow, parallel_windows


@dataclass(frozen=True)
class Alternative:
    """Windows at once along each spatial axis, and what holding these weights takes."""

    parallel: tuple[int, ...]
    places: int
    held: Footprint

    @property
    def time(self) -> float:
        """Time of the arrays for the whole convolution, in ns."""
        return self.places * max(self.held.window_time, self.held.start_time)


def unfold(graph: Graph, target: Target, options: TileOptions, sharing: Sharing | None) -> Graph:
    """The graph with parallel windows where they are worth it; itself where they are nowhere.

    ``sharing`` is that of `tile`. Weights that do not fit the chip together are left as they are:
    more cells would be written for each input.
    """
    nodes = {node.result.name: node for node in graph.nodes if isinstance(node.op, QConv)}
    found = {name: _alternatives(graph, node, target, options) for name, node in nodes.items()}
    several = {name: choices for name, choices in found.items() if len(choices) > 1}
    if not several or _least_cells(graph, target, options) > _cells(target):
        return graph
    held = _footprints(graph, target, options, several)
    room = Room(target.chip.cores, target.core.arrays)
    if sum(one.arrays for one in held.values()) > room.total:
        return graph
    if sharing is None:
        picked = _least_sum(several, held, room)
    else:
        picked = _least_slowest(graph, several, held, room, sharing)
    chosen = {name: one.parallel for name, one in picked.items() if prod(one.parallel) > 1}
    return with_parallel_windows(graph, chosen) if chosen else graph


def _cells(target: Target) -> int:
    return target.chip.cores * target.core.arrays * target.array.rows * target.array.cols


def _least_cells(graph: Graph, target: Target, options: TileOptions) -> int:
    cutters = (cutter_of(graph, node, target, options) for node in graph.nodes)
    return sum(cutter.least_cells() for cutter in cutters if cutter is not None)


def _footprints(
    graph: Graph,
    target: Target,
    options: TileOptions,
    known: Mapping[str, Sequence[Alternative]],
) -> dict[str, Footprint]:
    """What each product takes with single windows, in order of the graph."""
    found = {}
    for node in graph.nodes:
        cutter = cutter_of(graph, node, target, options)
        if cutter is not None:
            name = node.result.name
            found[name] = known[name][0].held if name in known else footprint(cutter)
    return found


def _alternatives(
    graph: Graph, node: Node, target: Target, options: TileOptions
) -> tuple[Alternative, ...]:
    """Single windows first; then each has more arrays, less time and less of both together."""
    cutter = cutter_of(graph, node, target, options)
    conv = _convolution(node)
    if cutter is None or conv is None:
        return ()
    columns = target.array.cols // cutter.cells_per_weight()
    candidates = _candidates(node, conv, logical_rows(target), columns)
    if not candidates:
        return ()
    found = [Alternative((1,) * (node.result.type.rank - 2), prod(conv.windows), footprint(cutter))]
    # Converters that lose nothing may ask for lower row blocks than those of an array.
    tallest = max(rows for part in cutter.pieces() for _, rows in part.cut.row_blocks)
    candidates += _candidates(node, conv, tallest, columns)
    for one in filter(None, (_cut(cutter, parallel) for parallel in dict.fromkeys(candidates))):
        if one.time * one.held.arrays < found[0].time * found[0].held.arrays:
            found.append(one)
    return _front(found)


def _front(found: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """Of these, the first and those that are worth their arrays."""
    front = [found[0]]
    for one in sorted(found[1:], key=lambda one: (one.held.arrays, one.time)):
        if one.time * one.held.arrays < front[-1].time * front[-1].held.arrays:
            front.append(one)
    return tuple(front)


def _convolution(node: Node) -> Convolution | None:
    """A convolution of one or two dimensions; one dimension stands in rows. None for others."""
    op, shape = node.op, node.result.type.shape[2:]
    if not isinstance(op, QConv) or op.group > 1 or len(shape) not in (1, 2):
        return None
    outputs, inputs, *kernel = node.operands[1].type.shape
    (high, wide), (down, right), (p, q) = (_pair(x) for x in (kernel, op.strides, shape))
    image = (p - 1) * down + high, (q - 1) * right + wide
    return Convolution(image, (high, wide), inputs, outputs, (down, right))


def _pair(extents: Sequence[int]) -> tuple[int, int]:
    return extents[0], extents[1] if len(extents) > 1 else 1


def _candidates(node: Node, conv: Convolution, rows: int, cols: int) -> list[tuple[int, ...]]:
    """Parallel windows that are worth their arrays as `unfolding` counts them."""
    found = parallel_windows(conv, rows, cols)[1:] if cols else ()
    rank = node.result.type.rank - 2
    return [(one.rows, one.cols)[:rank] for one in found if _is_dense(node, one)]


def _is_dense(node: Node, window: ParallelWindow) -> bool:
    """Whether the kernel has no holes along the axes where it is written more than once."""
    assert isinstance(node.op, QConv)
    kernel, several = node.operands[1].type.shape[2:], (window.rows, window.cols)
    holes = (k > 1 and d > 1 for k, d in zip(kernel, node.op.dilations, strict=True))
    return not any(hole and count > 1 for hole, count in zip(holes, several, strict=False))


def _cut(single: Cutter, parallel: tuple[int, ...]) -> Alternative | None:
    """What parallel windows take; None where one core cannot hold or add them up.

    None also where converters would have coarser steps, because there is more in a column.
    """
    node, op = single.node, single.product
    assert isinstance(op, QConv)
    wide = replace(
        single,
        product=_parallel(op, parallel),
        weight=widened(single.weight, parallel, op.strides),
    )
    try:
        pieces = wide.pieces()
    except UnsupportedError:
        return None
    if len(pieces) > 1 or pieces[0].cut.bound >= ACCUMULATOR_LIMIT:
        return None
    if any(_coarser(pieces[0].cut, part.cut) for part in single.pieces()):
        return None
    places = prod(counted(node.result.type.shape[2:], parallel))
    return Alternative(parallel, places, footprint(wide))


def _coarser(one: Cut, other: Cut) -> bool:
    """Whether one has a converter with a larger step than the other has for the same slice."""
    return any(a.step > b.step for a, b in zip(one.adcs, other.adcs, strict=True))


def _parallel(op: QConv, parallel: tuple[int, ...]) -> QParallelConv:
    dilations = tuple(1 if p > 1 else d for p, d in zip(parallel, op.dilations, strict=True))
    return QParallelConv(op.strides, op.pads, dilations, 1, op.requant, op.shift, parallel)


def _least_sum(
    several: Mapping[str, Sequence[Alternative]], held: Mapping[str, Footprint], room: Room
) -> dict[str, Alternative]:
    """The alternatives with the least sum of times on the arrays of the chip."""
    others = sum(one.arrays for name, one in held.items() if name not in several)
    rows = {name: _falling(choices) for name, choices in several.items()}
    table = Choices.of(
        [
            (np.array([one.time for one in row]), np.array([one.held.arrays for one in row]))
            for row in rows.values()
        ]
    )
    picked = optimum(table, room.total - others)
    return {name: row[index] for (name, row), index in zip(rows.items(), picked, strict=True)}


def _falling(choices: Sequence[Alternative]) -> list[Alternative]:
    """Those that take less time than all with as many arrays or fewer, the fewest arrays first."""
    kept: list[Alternative] = []
    for one in sorted(choices, key=lambda one: (one.held.arrays, one.time)):
        if not kept or one.time < kept[-1].time:
            kept.append(one)
    return kept


def _least_slowest(
    graph: Graph,
    several: Mapping[str, Sequence[Alternative]],
    held: Mapping[str, Footprint],
    room: Room,
    sharing: Sharing,
) -> dict[str, Alternative]:
    """The alternatives that take least of the chip, with the slowest product as fast as can be."""
    demands = list(_demands(graph, several, held, sharing))
    fill = demands[0].fill
    tables = {
        product.name: [
            other.products[index].table(room, fill)
            for other in demands[: len(several.get(product.name, (None,)))]
        ]
        for index, product in enumerate(demands[0].products)
    }
    joined = {name: _joined(parts) for name, parts in tables.items()}
    time = least_time(list(joined.values()), room, fill)
    if time is None:
        return {}
    return {
        name: choices[_best(tables[name], joined[name], time, room)]
        for name, choices in several.items()
    }


def _demands(
    graph: Graph,
    several: Mapping[str, Sequence[Alternative]],
    held: Mapping[str, Footprint],
    sharing: Sharing,
) -> Iterator[Demands]:
    """What products ask for with their first alternatives, with their second ones, and so on."""
    for index in range(max(map(len, several.values()))):
        picked = {name: choices[min(index, len(choices) - 1)] for name, choices in several.items()}
        chosen = {name: one.parallel for name, one in picked.items() if prod(one.parallel) > 1}
        footprints = {**held, **{name: one.held for name, one in picked.items()}}
        yield sharing(with_parallel_windows(graph, chosen), footprints)


def _joined(tables: Sequence[Table]) -> Table:
    """The shares of all alternatives of a product."""
    names = ("times", "arrays", "cores", "loads", "shares")
    return Table(*(np.concatenate([getattr(one, name) for one in tables]) for name in names))


def _best(tables: Sequence[Table], joined: Table, time: float, room: Room) -> int:
    """The alternative that takes the least part of the chip, then time, then arrays."""
    taken = joined.taken(max(time, joined.fastest), room)
    best = np.lexsort((joined.arrays, joined.times, taken))[0]
    ends = np.cumsum([len(table.times) for table in tables])
    return int(np.searchsorted(ends, best, side="right"))


def with_parallel_windows(graph: Graph, chosen: Mapping[str, tuple[int, ...]]) -> Graph:
    """The graph with parallel windows for these convolutions, by the names of their results."""

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        parallel = chosen.get(node.results[0].name)
        if parallel is None or not isinstance(node.op, QConv):
            return None
        x, weights, bias = operands
        op, copies, quant = node.op, prod(parallel), weights.type.quant
        if quant is not None and len(quant.scale) > 1:
            several = quant.scale * copies, quant.zero_point * copies
            quant = replace(quant, scale=several[0], zero_point=several[1])
        name = "x".join(map(str, parallel))
        wide = widened(builder.array(weights), parallel, op.strides)
        w = builder.constant(wide, f"{weights.name} {name}", quant)
        b = builder.constant(np.tile(builder.array(bias), copies), f"{bias.name} {name}")
        return builder.add(_parallel(op, parallel), [x, w, b], node.result.name, node.origin)

    return rebuild(graph, rule)
