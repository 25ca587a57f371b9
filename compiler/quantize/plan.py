"""What is decided before any node is rewritten: fused activations and shared parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..ir import Node, Op, QuantParams
from ..ir.ops.unary import Clip, Relu


@dataclass(frozen=True)
class Bounds:
    """Real bounds of a fused activation, and the nodes that it replaces."""

    low: float = -math.inf
    high: float = math.inf
    nodes: tuple[Node, ...] = ()

    def then(self, node: Node) -> Bounds:
        """These bounds followed by the Relu or Clip of `node`."""
        low, high = (0.0, math.inf) if isinstance(node.op, Relu) else _clip(node.op)
        low, high = (min(max(bound, low), high) for bound in (self.low, self.high))
        return Bounds(low, high, (*self.nodes, node))


def _clip(op: Op) -> tuple[float, float]:
    assert isinstance(op, Clip)
    return op.low, op.high


@dataclass
class Plan:
    """Decisions by value name.

    `bounds` has the fused activation of a node's result, `shares` the value whose parameters a
    value takes, `fixed` the parameters that need no calibration, `indices` the integers that only
    choose rows and so have none, `raw` what only the host has.
    """

    bounds: dict[str, Bounds] = field(default_factory=dict)
    shares: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, QuantParams] = field(default_factory=dict)
    indices: set[str] = field(default_factory=set)
    raw: set[str] = field(default_factory=set)

    def root(self, name: str) -> str:
        """The value whose parameters `name` has."""
        while name in self.shares:
            name = self.shares[name]
        return name

    @property
    def absorbed(self) -> set[str]:
        """Results of the activations that are fused."""
        return {node.result.name for b in self.bounds.values() for node in b.nodes}
