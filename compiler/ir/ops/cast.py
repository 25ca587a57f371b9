"""Conversion between element types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_same


@op("cast", Stage.FLOAT)
class Cast(Op):
    """Elements in another type: floats are cut towards zero, truth values are 0 and 1."""

    to: DType

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape of the operand."""
        expect_count(operands, 1)
        expect_same(operands)
        return (TensorType(self.to, operands[0].shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Convert; what does not fit is left to the processor, as ONNX allows."""
        with np.errstate(all="ignore"):
            return (inputs[0].astype(self.to.numpy),)


@op("bit_cast", Stage.FLOAT)
class BitCast(Op):
    """The same bits read as another type of the same width."""

    to: DType

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape of the operand."""
        expect_count(operands, 1)
        expect_same(operands)
        return (TensorType(self.to, operands[0].shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A view."""
        return (np.ascontiguousarray(inputs[0]).view(self.to.numpy).reshape(inputs[0].shape),)
