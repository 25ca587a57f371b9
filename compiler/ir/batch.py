"""Which nodes can be evaluated on a whole batch at once.

Types carry batch 1 and arrays carry any number of samples along axis 0. Operators leave that
axis alone, with one exception: NumPy aligns shapes at their last axis, so that broadcasting
against a tensor of higher rank moves the samples to another axis.

A graph without batch axis gets one by one rule: a tensor with extent 1 along axis 0 has its batch
there, every other one gets a new axis before all its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .graph import Node, Value
from .op import WholeOp


def with_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that an input or output of a graph without batch axis has in a batched graph."""
    return shape if shape[:1] == (1,) else (1, *shape)


def batched_inputs(inputs: Sequence[Value], batched: bool) -> tuple[Value, ...]:
    """Inputs of a graph, with the types that they have once the graph is batched."""
    if batched:
        return tuple(inputs)
    return tuple(Value(v.name, v.type.with_shape(with_batch(v.type.shape))) for v in inputs)


def keeps_batch(node: Node, constants: Collection[str]) -> bool:
    """Whether `node` gives for a batch what it gives for each sample alone.

    `constants` names the values that do not depend on an input.
    """
    if isinstance(node.op, WholeOp):
        return False
    computed = [operand.type for operand in node.operands if operand.name not in constants]
    results = [result.type for result in node.results]
    if any(type_.shape[:1] != (1,) for type_ in (*computed, *results)):
        return False
    if len(node.operands) == 1:
        return True
    rank = max(result.rank for result in results)
    return all(type_.rank == rank for type_ in computed)
