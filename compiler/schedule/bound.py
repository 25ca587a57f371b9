"""What no program of a network whose rows stream is faster than, on its chip.

The terms are those of `mapping.bounds`, for one sample in a pipeline (the latency) and for samples
in a pipeline (the interval); `receptive` knows of what windows are made. A product's replica takes
what it takes on cores of its own; programs in which products share arrays may stay below the terms
replication and dependence. Inputs and outputs pass the global memory once; what cores must exchange
depends on the placement and counts as nothing.
"""

from __future__ import annotations

from dataclasses import replace

from imcc.isa import Program

from ..errors import CapacityError
from ..ir.graph import Graph, Node
from ..mapping.bound_notes import ScheduleBounds
from ..mapping.bounds import Resources, Traffic, latency_bound, period_bound
from ..mapping.dependence import dependence
from ..mapping.replicate import Layer, longest_paths
from ..mapping.tiled_graph import TiledGraph
from .receptive import reach
from .scratch import rows_of, windows_per_row


def schedule_bounds(tiled: TiledGraph, program: Program) -> ScheduleBounds | None:
    """The bounds of a network that was placed for rows that stream.

    None where it was not, and where its products do not have room on arrays of their own: in
    stages each has more of them than the bounds suppose.
    """
    layers = layers_of(tiled)
    if not layers or tiled.stage_count > 1:
        return None
    chip, traffic = Resources.of(tiled.target), _traffic(program)
    try:
        latency = latency_bound(layers, chip, traffic)
        period = period_bound(layers, chip, traffic)
    except CapacityError:
        return None
    parts = reach(tiled.graph, [node.result.name for node in _products(tiled)])
    proof = dependence(layers, parts, chip.arrays)
    return ScheduleBounds(replace(latency, dependence=proof.bound), period)


def _products(tiled: TiledGraph) -> list[Node]:
    """The products that have a footprint."""
    return [node for node, _ in tiled.products() if node.result.name in tiled.footprints]


def layers_of(tiled: TiledGraph) -> tuple[Layer, ...]:
    """The products that have a footprint, as bounds see them."""
    nodes = _products(tiled)
    held = [tiled.footprints[node.result.name] for node in nodes]
    edges = _edges(tiled.graph, [node.result.name for node in nodes])
    paths = longest_paths([one.window_time for one in held], edges)
    return tuple(
        Layer(
            node.label,
            rows_of(node) * windows_per_row(node),
            one.arrays,
            one.row_blocks,
            one.window_time,
            *path,
        )
        for node, one, path in zip(nodes, held, paths, strict=True)
    )


def _edges(graph: Graph, products: list[str]) -> set[tuple[int, int]]:
    """From each product to those that read what came of it, with no product between."""
    numbers = {name: index for index, name in enumerate(products)}
    before: dict[str, set[int]] = {}
    edges = set()
    for node in graph.nodes:
        sources = set().union(*(before.get(value.name, set()) for value in node.operands))
        number = numbers.get(node.results[0].name)
        if number is not None:
            edges |= {(source, number) for source in sources}
            sources = {number}
        before.update((value.name, sources) for value in node.results)
    return edges


def _traffic(program: Program) -> Traffic:
    moved = program.target.timing.moved
    ends = (*program.inputs, *program.outputs)
    return Traffic(memory_bytes=sum(end.count * moved(end.element.size) for end in ends))
