"""Phases for inputs in a row: in each round every phase works on another input.

A product begins a phase, or a team of products on the same cores, with what follows up to the next
ones, and so does what follows a concatenation. So no core waits for rows of another layer, and what
layers hand on passes the global memory once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import TopologicalSorter
from heapq import heappop, heappush

from ..ir.graph import Graph
from ..ir.op import Op
from ..ir.ops.host import Host
from ..ir.ops.quantized import QConcat
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..mapping.tiled_graph import TiledGraph
from .streamed import Streamed

# Cells of a weight together take up to so many times its bytes in global memory.
_PACKED = 2


def pipeline_phases(tiled: TiledGraph) -> Mapping[str, int]:
    """The phase of each result; of some nothing is left to do."""
    return phase_numbers(tiled.graph, tiled.teams, Tiled, QConcat)


def phase_numbers(
    graph: Graph, teams: Collection[Sequence[str]], *begin: type[Op]
) -> Mapping[str, int]:
    """The phase of each result, where some operators begin one and a team is in one together.

    A concatenation of what one team makes is in the phase of that, and what else reads it begins
    one. Raises `CycleError` where a team
    needs itself.
    """
    first_of = {name: team[0] for team in teams for name in team}
    firsts = set(first_of.values())
    before: dict[str, frozenset[str]] = {}  # what begins a phase, and a value is made of
    needed: dict[str, set[str]] = {}
    inside: set[str] = set()  # concatenations that a team makes
    for node in graph.nodes:
        name = node.results[0].name
        sources = frozenset[str]().union(*(before.get(v.name, ()) for v in node.operands))
        if isinstance(node.op, QConcat) and len(sources) == 1 and sources <= firsts:
            inside.add(name)
        elif isinstance(node.op, begin) or any(v.name in inside for v in node.operands):
            first = first_of.get(name, name)
            needed.setdefault(first, set()).update(sources - {first})
            sources = frozenset([first])
        before.update((value.name, sources) for value in node.results)
    number = _numbered(needed)
    return {
        name: max((number[source] for source in sources), default=0)
        for name, sources in before.items()
    }


def _numbered(needed: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Numbers in the order of mention, but each behind what it needs."""
    order = TopologicalSorter(needed)
    mention = {name: index for index, name in enumerate(needed)}
    order.prepare()
    ready: list[tuple[int, str]] = []
    found: dict[str, int] = {}
    while order.is_active():
        for name in order.get_ready():
            heappush(ready, (mention[name], name))
        _, name = heappop(ready)
        found[name] = len(found)
        order.done(name)
    return found


def can_be_in_phases(tiled: TiledGraph) -> bool:
    """Whether all weights are on the chip at a time, and the host has no part in the network."""
    return tiled.stage_count == 1 and not any(isinstance(n.op, Host) for n in tiled.graph.nodes)


def inputs_fit(tiled: TiledGraph, apart: Streamed) -> bool:
    """Whether all inputs on their way have room in global memory, beside the weights."""
    graph, weights = apart.graph, tiled.graph.constants.values()
    waiting = [node.result for node in graph.nodes if isinstance(node.op, Spill)]
    held = [value.type for value in (*graph.inputs, *graph.outputs, *waiting)]
    each = sum(type_.size * type_.dtype.numpy.itemsize for type_ in held)
    phases = len(set(apart.phases.values()))
    needed = phases * each + _PACKED * sum(array.nbytes for array in weights)
    return needed <= tiled.target.chip.global_memory_bytes
