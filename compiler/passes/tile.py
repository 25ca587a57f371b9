"""The pass `tile`: quantized products become products on crossbars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import InputError, VerificationError
from ..ir.graph import Graph
from ..ir.ops.quantized import QConv, QMatMul
from ..mapping import AdcPolicy, TileOptions, tile
from .base import Pass, PassContext


@dataclass(frozen=True)
class Tile(Pass):
    """Places the weights of every quantized product on the arrays of the target.

    Those of a network that is larger than the chip go there in stages.

    `adc` says how row blocks and converter ranges are chosen: `lossless`, `saturating` or
    `covering`. `spread` is the largest number of products on one core; 0 is no limit.
    """

    name: ClassVar[str] = "tile"

    adc: AdcPolicy = AdcPolicy.LOSSLESS
    spread: int = 0

    def __post_init__(self) -> None:
        """Raise `ValueError` for a negative spread."""
        TileOptions(self.adc, self.spread)

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph with a `tiled` operator for each product."""
        if context.target is None:
            raise InputError("pass 'tile' needs a target; name one with --target")
        return tile(graph, context.target, TileOptions(self.adc, self.spread)).graph

    def ensures(self, graph: Graph) -> None:
        """No product is left without a plan."""
        left = [node.label for node in graph.nodes if isinstance(node.op, QConv | QMatMul)]
        if left:
            raise VerificationError(f"products without a place: {', '.join(left)}")
