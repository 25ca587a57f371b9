"""Where results are cut: runs of rows and strips of columns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from ..ir.graph import Node
from ..ir.ops.rows import Span
from .row_ranges import RULES
from .window import product_of


def strips_of(columns: int, most: int, grain: int = 1) -> tuple[Span, ...]:
    """At most so many strips of columns, of equal width (of whole `grain`) but the last."""
    return runs(columns, most, grain)


def runs_behind(
    node: Node,
    axis: int,
    operand: int,
    source: int,
    edges: Sequence[int],
    most: int,
    longest: int | Fraction,
) -> tuple[Span, ...]:
    """Runs of rows of the result that end as soon as they can.

    The operand of that number is made in runs along axis `source` that end at `edges`; with each of
    them go the rows that need nothing behind it. Where these are more than `most` runs, several go
    together, and runs of more than `longest` rows are cut.
    """
    rule, rows = RULES[type(product_of(node.op))], node.result.type.shape[axis]
    if rule.grain(node, axis) > 1:
        return runs_of(node, axis, most)
    needs = [rule.part(node, axis, (row, row + 1)).needs[operand] for row in range(rows)]
    ends = [need.get(source) for need in needs]
    if None in ends:
        return runs_of(node, axis, most)
    stops = [end[1] for end in ends if end is not None]
    found = sorted({bisect_right(stops, edge) for edge in edges} - {0, rows})
    several = -(-(len(found) + 1) // most)
    return tuple(
        (start + a, start + b)
        for start, stop in pairwise([0, *found[several - 1 :: several], rows])
        for a, b in runs(stop - start, -(-(stop - start) // longest))
    )


def runs_of(node: Node, axis: int, most: int) -> tuple[Span, ...]:
    """The runs of rows that a node's result is made in: at most so many."""
    rule = RULES[type(product_of(node.op))]
    return runs(node.result.type.shape[axis], most, rule.grain(node, axis))


def runs(extent: int, most: int, grain: int = 1) -> tuple[Span, ...]:
    """At most so many runs of equal length, a multiple of `grain`; the last may be shorter."""
    length = -(-extent // (most * grain)) * grain
    edges = [*range(0, extent, length), extent]
    return tuple(pairwise(edges))
