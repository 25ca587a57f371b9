"""What cores exchange, and places on the mesh that keep the way short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.rows import Rows
from ..ir.ops.tiled import Tiled
from ..mapping.mesh import Floats, arrange
from ..mapping.plan import MatrixPlan
from ..mapping.tiled_graph import TiledGraph
from .order import Step
from .parts import volume
from .replica import Residence
from .scratch import WORD, rows_of, windows_per_row
from .streamed import Streamed

Exchange = tuple[int, int, int]  # from, to, bytes


def traffic(streamed: Streamed, steps: Sequence[Step], residence: Residence, cores: int) -> Floats:
    """Bytes [source, target] that cores exchange for one input."""
    found = np.zeros((cores, cores))
    sizes = {v.name: v.type for node in streamed.graph.nodes for v in node.results}
    for step, moves in zip(steps, residence.transfers, strict=True):
        node = streamed.graph.nodes[step.node]
        for move in moves:
            type_ = sizes[move.value]
            size = type_.size * type_.dtype.numpy.itemsize
            if isinstance(node.op, Rows) and step.piece is not None:
                whole = prod(type_.shape[axis] for axis in node.op.axes)
                size = size * volume(node.op.boxes[step.piece]) // whole
            found[move.source, move.target] += size
        if isinstance(node.op, Tiled):
            for source, target, size in _partial_sums(node, node.op):
                found[source, target] += size
    return found


def _partial_sums(node: Node, op: Tiled) -> Iterator[Exchange]:
    """Accumulators go to where they are added, codes from there to the result."""
    windows = rows_of(node) * windows_per_row(node)
    for (n0, n1), shards in op.plan.blocks():
        elements, reducer = windows * (n1 - n0), shards[0].core
        for core in dict.fromkeys(shard.core for shard in shards):
            if core != reducer:
                yield core, reducer, elements * WORD
        if reducer != op.plan.home:
            yield reducer, op.plan.home, elements


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
