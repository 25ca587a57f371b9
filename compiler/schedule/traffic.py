"""What cores exchange, and places on the mesh that keep the way short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from imcc.isa import Target
from imcc.isa.cost.mesh import Link, Mesh

from ..ir.graph import Graph, Node
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
                size = _taken(node.op, step.piece, node.operands[step.piece].type)
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


def arranged(
    tiled: TiledGraph, streamed: Streamed, exchanged: Floats
) -> tuple[TiledGraph, Streamed]:
    """The same mapping with cores at places where what they exchange has a short way."""
    chip = tiled.target.chip
    places = arrange(exchanged, chip.mesh_rows, chip.mesh_cols)
    moves = _Moves(lambda core: int(places[core]))
    moved = replace(
        tiled,
        graph=moves.graph(tiled.graph),
        cores=moves.cores(tiled.cores),
        groups={name: tuple(map(moves.plan, plans)) for name, plans in tiled.groups.items()},
    )
    graph, cores = moves.graph(streamed.graph), moves.cores(streamed.cores)
    return moved, replace(streamed, graph=graph, cores=cores)


class _Moves:
    """Gives cores other places; a plan stays one, wherever it is found."""

    def __init__(self, place: Callable[[int], int]) -> None:
        self._place = place
        self._moved: dict[int, MatrixPlan] = {}

    def cores(self, cores: Mapping[str, int]) -> Mapping[str, int]:
        """The cores of values."""
        return {name: self._place(core) for name, core in cores.items()}

    def plan(self, plan: MatrixPlan) -> MatrixPlan:
        """The plan of a product."""
        if id(plan) not in self._moved:
            self._moved[id(plan)] = plan.moved(self._place)
        return self._moved[id(plan)]

    def graph(self, graph: Graph) -> Graph:
        """A graph with tiled products."""
        return replace(graph, nodes=tuple(map(self._node, graph.nodes)))

    def _node(self, node: Node) -> Node:
        if not isinstance(node.op, Tiled):
            return node
        return replace(node, op=Tiled(node.op.product, self.plan(node.op.plan)))
