"""What cores exchange, and places on the mesh that keep the way short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from imcc.isa import Target
from imcc.isa.cost.mesh import Link, Mesh

from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.quant import Enter, Quantize
from ..ir.ops.rows import Rows
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..ir.types import TensorType
from ..mapping.mesh import Floats, arrange
from ..mapping.plan import MatrixPlan
from ..mapping.tiled_graph import TiledGraph
from .order import Step, is_stored
from .parts import volume
from .replica import Residence
from .scratch import WORD, rows_of, windows_per_row
from .streamed import Streamed


def traffic(
    streamed: Streamed, steps: Sequence[Step], residence: Residence, target: Target
) -> Floats:
    """Bytes [source, target] that cores exchange for one input."""
    found, moved = np.zeros((target.chip.cores, target.chip.cores)), target.timing.moved
    sizes = {v.name: v.type for node in streamed.graph.nodes for v in node.results}
    for step, moves in zip(steps, residence.transfers, strict=True):
        node = streamed.graph.nodes[step.node]
        for move in moves:
            type_ = sizes[move.value]
            size = type_.size
            if isinstance(node.op, Rows) and step.piece is not None:
                size = _taken(node.op, step.piece, type_)
            found[move.source, move.target] += size * moved(type_.dtype.numpy.itemsize)
        if isinstance(node.op, Tiled):
            for source, to, elements, width in _partial_sums(node, node.op):
                found[source, to] += elements * moved(width)
    return found


def _taken(rows: Rows, piece: int, type_: TensorType) -> int:
    """Elements of one operand that are put together with others."""
    whole = prod(type_.shape[axis] for axis in rows.axes)
    return type_.size * volume(rows.boxes[piece]) // whole


def handed_on(streamed: Streamed, readers: Sequence[int], target: Target) -> int:
    """Bytes that pass the global memory for one input; `readers` counts the cores of each node."""
    total = 0
    for node, count in zip(streamed.graph.nodes, readers, strict=True):
        if not isinstance(node.op, Rows):
            continue
        stored = is_stored(streamed.graph, node)
        for piece, operand in enumerate(node.operands):
            producer = streamed.graph.producer(operand)
            if stored or (producer and isinstance(producer.op, Spill | Quantize | Enter)):
                size = _taken(node.op, piece, operand.type) * (1 if stored else count)
                total += size * target.timing.moved(operand.type.dtype.numpy.itemsize)
    return total


def network_time(exchanged: Floats, target: Target) -> float:
    """Nanoseconds in which the busiest link of the network carries what cores exchange."""
    mesh, timing = Mesh(target.chip), target.timing
    carried: Counter[Link] = Counter()
    for source, to in zip(*np.nonzero(exchanged), strict=True):
        for link in mesh.route(int(source), int(to)):
            carried[link] += exchanged[source, to]
    busiest = max(carried.values(), default=0.0)
    return busiest / timing.noc_bytes_per_cycle / timing.clock_mhz * 1000.0


def _partial_sums(node: Node, op: Tiled) -> Iterator[tuple[int, int, int, int]]:
    """From, to, elements and their bytes: sums go to where they are added, codes to the result."""
    windows = rows_of(node) * windows_per_row(node)
    for (n0, n1), shards in op.plan.blocks():
        elements, reducer = windows * (n1 - n0), shards[0].core
        for core in dict.fromkeys(shard.core for shard in shards):
            if core != reducer:
                yield core, reducer, elements, WORD
        if reducer != op.plan.home:
            yield reducer, op.plan.home, elements, 1


def arranged(tiled: TiledGraph, exchanged: Floats) -> TiledGraph:
    """The same mapping with cores at places where what they exchange has a short way."""
    chip = tiled.target.chip
    places = arrange(exchanged, chip.mesh_rows, chip.mesh_cols)
    return _relabelled(tiled, lambda core: int(places[core]))


def _relabelled(tiled: TiledGraph, place: Callable[[int], int]) -> TiledGraph:
    moved: dict[int, MatrixPlan] = {}

    def plan_at(plan: MatrixPlan) -> MatrixPlan:
        if id(plan) not in moved:
            moved[id(plan)] = plan.moved(place)
        return moved[id(plan)]

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        if not isinstance(node.op, Tiled):
            return None
        tiled_op = Tiled(node.op.product, plan_at(node.op.plan))
        return builder.add(tiled_op, operands, node.result.name, node.origin)

    graph: Graph = rebuild(tiled.graph, rule)
    cores: Mapping[str, int] = {name: place(core) for name, core in tiled.cores.items()}
    groups = {name: tuple(map(plan_at, plans)) for name, plans in tiled.groups.items()}
    return replace(tiled, graph=graph, cores=cores, groups=groups)
