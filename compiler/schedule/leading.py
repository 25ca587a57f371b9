"""Whose rows an operation follows: what is no product runs where those are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ..ir.graph import Graph, Node, Value
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.rows import Box
from .parts import volume
from .window import product_of


@dataclass(frozen=True)
class Ways:
    """How rows come to the operands of the nodes of a graph.

    `shortcuts` has for each result the operands that others of its operands are made of, `depths`
    for each value the most products on a way to it.
    """

    shortcuts: Mapping[str, frozenset[str]]
    depths: Mapping[str, int]

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """The ways in a graph, tiled or not."""
        return cls(shortcuts(graph), depths(graph))

    def long_first(self, node: Node) -> Sequence[Value]:
        """The operands, those that come the longest way first, shortcuts last.

        Where rows of a short way are made the next input begins, while this one goes the long way.
        """
        short = self.shortcuts.get(node.results[0].name, frozenset())
        return sorted(node.operands, key=lambda v: (v.name in short, -self.depths.get(v.name, 0)))


def depths(graph: Graph) -> Mapping[str, int]:
    """For each value the most products on a way to it."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        before = max((found.get(operand.name, 0) for operand in node.operands), default=0)
        depth = before + isinstance(product_of(node.op), QConv | QMatMul)
        found.update((result.name, depth) for result in node.results)
    return found


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


def least_busy(
    found: Sequence[tuple[Value, Box, Box]], cores: Mapping[str, int], busy: Mapping[int, float]
) -> int:
    """Of the cores that have most of what is needed the one with the least work so far.

    `found` has parts of a value, what each holds and what of that is needed.
    """
    most = max(volume(meant) for _, _, meant in found)
    near = [cores[part.name] for part, _, meant in found if 2 * volume(meant) > most]
    return min(near, key=lambda core: busy[core])
