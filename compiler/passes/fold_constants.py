"""The pass `fold-constants`: what depends on constants only is computed now."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..budget import FoldingBudget
from ..ir import OPS, Graph, Node, Value
from ..work import work
from .base import Pass, PassContext
from .rewrite import Rewriter, rewrite


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Replaces nodes whose operands are all constant by their results.

    Results larger than `limit` bytes stay computed, so that a small model cannot become a large
    program.
    """

    name: ClassVar[str] = "fold-constants"

    limit: int = 16 << 20

    def __post_init__(self) -> None:
        """Raise `ValueError` for a negative limit."""
        if self.limit < 0:
            raise ValueError(f"limit must not be negative, got {self.limit}")

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph without foldable nodes; raises `LimitError` for too many constants."""
        budget = FoldingBudget(sum(array.nbytes for array in graph.constants.values()))

        def rule(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
            return self._fold(builder, node, operands, budget)

        return rewrite(graph, {kind: (rule,) for kind in OPS.values()}, context.notes)

    def _fold(
        self, builder: Rewriter, node: Node, operands: tuple[Value, ...], budget: FoldingBudget
    ) -> Value | None:
        if not operands or not all(builder.is_constant(operand) for operand in operands):
            return None
        types = [operand.type for operand in operands]
        (type_,) = node.op.infer(types)
        size = prod(type_.shape) * type_.dtype.numpy.itemsize
        if size > self.limit:
            builder.note(node, f"not folded: its {size} bytes exceed the limit of {self.limit}")
            return None
        arrays = [builder.array(operand) for operand in operands]
        budget.operate(work(node.op, types, [type_]), node.label)
        (array,) = node.op.evaluate(arrays, types)
        budget.spend([array], arrays, node.label)
        return builder.constant(array, node.result.name, type_.quant)
