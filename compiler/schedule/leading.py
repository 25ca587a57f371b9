"""Whose rows an operation follows: what is no product runs where those are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.graph import Graph, Node, Value
from ..ir.ops.rows import Box
from .parts import volume


def shortcuts(graph: Graph) -> Mapping[str, frozenset[str]]:
    """For each result the operands that others of its operands are made of."""
    numbers: dict[str, int] = {}
    behind: dict[str, int] = {}  # bits of all values that a value is made of
    found: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        own = [numbers.setdefault(operand.name, len(numbers)) for operand in node.operands]
        farther = 0
        for operand in node.operands:
            farther |= behind.get(operand.name, 0)
        short = (
            v.name for v, number in zip(node.operands, own, strict=True) if farther >> number & 1
        )
        skipped = frozenset(short)
        for number in own:
            farther |= 1 << number
        for result in node.results:
            behind[result.name], found[result.name] = farther, skipped
    return found


def long_ways_first(node: Node, shortcuts: Mapping[str, frozenset[str]]) -> Sequence[Value]:
    """Operands as they stand, but shortcuts last.

    Where rows of a shortcut are made the next input begins, while this one goes the long way.
    """
    short = shortcuts[node.results[0].name]
    return sorted(node.operands, key=lambda operand: operand.name in short)


def least_busy(
    found: Sequence[tuple[Value, Box, Box]], cores: Mapping[str, int], busy: Mapping[int, float]
) -> int:
    """Of the cores that have most of what is needed the one with the least work so far.

    `found` has parts of a value, what each holds and what of that is needed.
    """
    most = max(volume(meant) for _, _, meant in found)
    near = [cores[part.name] for part, _, meant in found if 2 * volume(meant) > most]
    return min(near, key=lambda core: busy[core])
