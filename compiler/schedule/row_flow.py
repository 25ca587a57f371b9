"""Which rows of other products the rows of each product are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..ir.graph import Graph, Node
from ..ir.ops.rows import Span
from ..mapping.choices import Ints
from ..mapping.flow import Flow, Read
from .cuts import runs_of
from .row_ranges import part_of

Lasts = Mapping[int, Ints]
"""By product: for each row the last one of that product's that it is made of."""


def row_flow(graph: Graph, products: Collection[str], axes: Mapping[str, int | None]) -> Flow:
    """The flow between products, which are named by their results; `axes` are those of rows.

    Rows that a product makes at once, with parallel windows, are one.
    """
    made: dict[str, Lasts] = {}
    counts: list[int] = []
    reads: list[tuple[Read, ...]] = []
    for node in graph.nodes:
        spans = _spans(node, axes)
        lasts = _lasts(node, spans, made, axes)
        if node.results[0].name in products:
            reads.append(tuple(Read(source, last) for source, last in lasts.items()))
            lasts = {len(counts): np.arange(len(spans))}
            counts.append(len(spans))
        lengths = [stop - start for start, stop in spans]
        of_rows = {source: np.repeat(last, lengths) for source, last in lasts.items()}
        made.update((result.name, of_rows) for result in node.results)
    return Flow(tuple(counts), tuple(reads))


def _spans(node: Node, axes: Mapping[str, int | None]) -> Sequence[Span]:
    """The rows that are made at once; one where all are."""
    axis = axes.get(node.results[0].name)
    if axis is None:
        return ((0, 1),)
    return runs_of(node, axis, node.results[0].type.shape[axis])


def _lasts(
    node: Node,
    spans: Sequence[Span],
    made: Mapping[str, Lasts],
    axes: Mapping[str, int | None],
) -> Lasts:
    """For each span of a result the last row that it needs of every product before."""
    found: dict[int, Ints] = {}
    for position, operand in enumerate(node.operands):
        before = made.get(operand.name)
        if not before:
            continue
        needed = _needed(node, position, spans, axes)
        for source, last in before.items():
            through = last[needed]
            found[source] = np.maximum(found[source], through) if source in found else through
    return found


def _needed(
    node: Node, position: int, spans: Sequence[Span], axes: Mapping[str, int | None]
) -> Ints:
    """For each span of the result the last row of an operand."""
    operand, axis = node.operands[position], axes.get(node.results[0].name)
    along = axes.get(operand.name)
    end = 1 if along is None else operand.type.shape[along]
    if axis is None or along is None:
        return np.full(len(spans), end - 1)
    needs = (part_of(node, {axis: span}).needs[position] for span in spans)
    stops = [need[along][1] if along in need else end for need in needs]
    found: Ints = np.maximum(np.array(stops) - 1, 0)
    return found
