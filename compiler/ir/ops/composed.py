"""Several element-wise functions in a row, as one function of one operand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .unary import Unary


@dataclass(frozen=True)
class Step:
    """An element-wise function of x, which has the number 0, and of results of earlier steps."""

    op: Op
    operands: tuple[int, ...]


@op("composed", Stage.FLOAT)
class Composed(Unary):
    """The result of the last step; the step at place i yields the number i + 1.

    Every step keeps shape and type of x, and computes an element from the elements at its place.
    """

    steps: tuple[Step, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        (x,) = super().infer(operands)
        if not self.steps:
            raise OpError("there must be at least one step")
        for count, step in enumerate(self.steps, 1):
            if any(not 0 <= number < count for number in step.operands):
                raise OpError(f"step {count} reads {list(step.operands)}")
            if step.op.infer([x] * len(step.operands)) != (x,):
                raise OpError(f"step {count}, imcc.{step.op.name}, changes shape or type")
        return (x,)

    def apply(self, x: Array) -> Array:
        """One step after the other."""
        type_ = TensorType(DType.of(x.dtype), x.shape)
        values = [x]
        for step in self.steps:
            inputs = [values[number] for number in step.operands]
            values.extend(step.op.evaluate(inputs, [type_] * len(inputs)))
        return values[-1]


def in_a_row(first: Op, second: Op) -> Composed:
    """``second(first(x))``."""
    return Composed((Step(first, (0,)), Step(second, (1,))))
