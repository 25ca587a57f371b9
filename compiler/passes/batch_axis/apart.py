"""Whether an operator keeps samples apart along its own axis 0."""

from __future__ import annotations

from ...ir import Node
from .carrier import Carrier


def stays_apart(carrier: Carrier, node: Node, convert: bool = False) -> bool:
    """Whether a node can stay as it is, with axis 0 of extent 1 as the batch.

    Some operand must be carried that way already, unless it may be `convert`ed.
    """
    computed = carrier.computed(node)
    values = (*computed, *node.results)
    if not all(carrier.can_keep(value) for value in values):
        return False
    if not convert and not any(carrier.is_kept(value) for value in computed):
        return False
    rank = max(result.type.rank for result in node.results)
    aligned = len(node.operands) == 1 or all(value.type.rank == rank for value in computed)
    return aligned and not node.op.batch_problem([operand.type for operand in node.operands])
