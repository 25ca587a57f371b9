"""Codes that wait in global memory until they are read again."""

from __future__ import annotations

from collections.abc import Sequence

from ..op import Array, Op, Stage, op
from ..types import TensorType


@op("spill", Stage.TILED)
class Spill(Op):
    """The codes of the operand, in global memory: only rows of them are read (see `rows`)."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        (x,) = operands
        return (x,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The codes."""
        return (inputs[0],)
