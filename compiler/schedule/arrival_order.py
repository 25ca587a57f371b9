"""An order in which rows pass through all operations as they come.

Where rows are cut in strips, the order of demand goes down the network strip by strip: it makes the
first strip of a late row before the last strip of an early one, though all of the early row is
needed sooner. Here what can be made of less of the input comes first, and of that what stands first
in the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..ir.graph import Graph
from .order import Step
from .parallel_order import StepWriter, sources
from .streamed import Block


def arrival_order(
    graph: Graph, demand: Sequence[Step], blocks: Mapping[str, Block]
) -> tuple[Step, ...]:
    """The steps of `demand` by the part of the input that they need."""
    needed = _needed(graph, blocks)
    nodes = sorted(
        (step.node for step in demand if step.piece is None), key=lambda node: (needed[node], node)
    )
    return tuple(StepWriter(graph, demand, blocks).steps(iter(nodes)))


def _needed(graph: Graph, blocks: Mapping[str, Block]) -> list[float]:
    """For each node the part of the input that must be there.

    It is told by the operations that read nothing made in parts: theirs come one after the other.
    """
    own = [blocks.get(node.results[0].name) for node in graph.nodes]
    counts = Counter(block.whole for block in own if block is not None)
    made: Counter[str] = Counter()
    found: list[float] = []
    for block, read in zip(own, sources(graph), strict=True):
        needed = max((found[source] for source in read), default=0.0)
        if block is not None:
            made[block.whole] += 1
            needed = needed or made[block.whole] / counts[block.whole]
        found.append(needed)
    return found
