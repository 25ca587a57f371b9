"""The order of the work: rows are made when somebody needs them, and no earlier.

Walking back from the outputs, an operation comes right behind the last of what it reads. So every
layer of a network that is cut in rows is only as far ahead of the next as its windows reach, which
keeps few rows alive, and layers on different cores work side by side. Rows that are put together
come piece by piece, each as soon as it is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..ir.graph import Graph, Node
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.rows import Rows
from ..ir.ops.spill import Spill

_STORES = (Dequantize, Leave, Spill)
_LEAST_AXES = 3  # an input of fewer axes has no rows


class Step(NamedTuple):
    """Node `node` of the graph; of `Rows` only operand `piece`."""

    node: int
    piece: int | None = None


def demand_order(graph: Graph, parts: Container[str]) -> tuple[Step, ...]:
    """All nodes that outputs need, each behind what it reads; `parts` are results made in rows.

    Rows that are put together from such parts take each right behind the step that makes it, so
    that no core waits with what another can already have; but a window that slides in the place
    of the one before it on the same core stays where it is needed.
    """
    producers = {value.name: i for i, node in enumerate(graph.nodes) for value in node.results}
    done: set[int] = set()
    order = [
        step
        for output in graph.outputs
        if output.name in producers
        for step in _demanded(graph, producers, producers[output.name], done)
    ]
    waiting: dict[str, list[Step]] = defaultdict(list)
    kept = []
    for step in order:
        source = early_source(graph, step, parts)
        if source is None:
            kept.append(step)
        else:
            waiting[source].append(step)
    return tuple(_pushed(graph, kept, waiting))


def early_source(graph: Graph, step: Step, parts: Container[str]) -> str | None:
    """The part behind which rows are put together; None where that is when they are needed."""
    node = graph.nodes[step.node]
    if step.piece is None or node.operands[0].name not in parts:
        return None
    source = node.operands[step.piece].name
    return source if source in parts else None


def _pushed(
    graph: Graph, kept: Iterable[Step], waiting: Mapping[str, Sequence[Step]]
) -> Iterator[Step]:
    for step in kept:
        yield step
        for value in graph.nodes[step.node].results:
            yield from waiting.get(value.name, ())


def graph_order(graph: Graph) -> tuple[Step, ...]:
    """The nodes as they stand in the graph."""
    return tuple(step for i, node in enumerate(graph.nodes) for step in _steps(i, node))


def is_stored(graph: Graph, node: Node) -> bool:
    """Whether rows are put together in global memory: nothing on a core reads them."""
    if not isinstance(node.op, Rows):
        return False
    return all(isinstance(u.op, _STORES) for u in graph.users(node.results[0]))


def is_loaded(node: Node) -> bool:
    """Whether a node makes an input of the network of which rows are loaded where they are read."""
    return isinstance(node.op, Quantize | Enter) and node.result.type.rank >= _LEAST_AXES


def is_spilled(graph: Graph, node: Node) -> bool:
    """Whether a node stores what later phases read from global memory."""
    users = graph.users(node.results[0])
    return is_stored(graph, node) and any(isinstance(user.op, Spill) for user in users)


def _steps(index: int, node: Node) -> Iterator[Step]:
    if isinstance(node.op, Rows):
        yield from (Step(index, piece) for piece in range(len(node.operands)))
    else:
        yield Step(index)


def _demanded(graph: Graph, producers: dict[str, int], last: int, done: set[int]) -> Iterator[Step]:
    """What node `last` needs that is not done yet, then the node itself; without recursion."""
    open_: list[tuple[int, int]] = [(last, 0)]
    while open_:
        index, position = open_.pop()
        node = graph.nodes[index]
        if position == 0 and index in done:
            continue
        done.add(index)
        if position and isinstance(node.op, Rows):
            yield Step(index, position - 1)
        if position == len(node.operands):
            if not isinstance(node.op, Rows):
                yield Step(index)
            continue
        open_.append((index, position + 1))
        producer = producers.get(node.operands[position].name)
        if producer is not None and producer not in done:
            open_.append((producer, 0))
