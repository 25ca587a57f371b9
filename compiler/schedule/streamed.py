"""A graph for the schedule, whose operations may compute parts of those of the tiled graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ir.graph import Graph, Node
from ..mapping.tiled_graph import TiledGraph


@dataclass(frozen=True)
class Block:
    """The part of value `whole` that begins at `starts` along `axes`."""

    whole: str
    axes: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()


def whole_of(blocks: Mapping[str, Block], node: Node) -> str:
    """The value of which a node's result is a part, or the result."""
    name = node.results[0].name
    return blocks[name].whole if name in blocks else name


@dataclass(frozen=True, eq=False)
class Streamed:
    """A graph whose operations compute runs of rows.

    `cores` maps result names to cores. `blocks` says of which value a result is a part; results
    that are whole are not in it. `phases` has the phase of each result, where there are several:
    a phase is over before the next begins. With `hands_on` cores hand rows on that several read,
    and each adds up a range of what many have sums of: no port has to send or take in all of it.
    """

    graph: Graph
    cores: Mapping[str, int]
    blocks: Mapping[str, Block]
    phases: Mapping[str, int] = field(default_factory=dict)
    hands_on: bool = False

    def phase_of(self, node: Node) -> int:
        """The phase in which a node runs."""
        return self.phases.get(node.results[0].name, 0)


def whole_operations(tiled: TiledGraph) -> Streamed:
    """The graph as it is: every operation in one piece."""
    return Streamed(tiled.graph, tiled.cores, {}, tiled.stages)
