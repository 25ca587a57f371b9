"""Which nodes can be evaluated on a whole batch at once.

Types carry batch 1 and arrays carry any number of samples along axis 0. Operators leave that
axis alone, with one exception: NumPy aligns shapes at their last axis, so that broadcasting
against a tensor of higher rank moves the samples to another axis.
"""

from __future__ import annotations

from collections.abc import Collection

from .graph import Node


def keeps_batch(node: Node, constants: Collection[str]) -> bool:
    """Whether `node` gives for a batch what it gives for each sample alone.

    `constants` names the values that do not depend on an input.
    """
    computed = [operand.type for operand in node.operands if operand.name not in constants]
    results = [result.type for result in node.results]
    if any(type_.shape[:1] != (1,) for type_ in (*computed, *results)):
        return False
    if len(node.operands) == 1:
        return True
    rank = max(result.rank for result in results)
    return all(type_.rank == rank for type_ in computed)
