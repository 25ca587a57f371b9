"""Normalization in float32: batch normalization (inference form) and softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_float, expect_vector


@op("batch_normalization", Stage.FLOAT)
class BatchNormalization(Op):
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` for each channel (axis 1) of x.

    Operands: x ``[N, C, ...]``, scale, bias, mean, var ``[C]``.
    """

    epsilon: float = 1e-5

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 5)
        expect_float(operands)
        if operands[0].rank < 2:
            raise OpError(f"operand 0 has shape {list(operands[0].shape)}, it needs channels")
        for what, type_ in zip(("scale", "bias", "mean", "var"), operands[1:], strict=True):
            expect_vector(type_, operands[0].shape[1], what)
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One multiplication and one addition an element, factors from float64."""
        x, *vectors = inputs
        scale, bias, mean, var = (vector.astype(np.float64) for vector in vectors)
        factor = scale / np.sqrt(var + self.epsilon)
        shape = (-1, *([1] * (x.ndim - 2)))
        offset = (bias - mean * factor).astype(np.float32).reshape(shape)
        return (x * factor.astype(np.float32).reshape(shape) + offset,)


@op("softmax", Stage.FLOAT)
class Softmax(Op):
    """``exp(x) / sum(exp(x))`` along one axis, which is not the batch axis."""

    axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 1)
        expect_float(operands)
        if not 1 <= self.axis < operands[0].rank:
            raise OpError(f"axis is {self.axis}, allowed are 1 to {operands[0].rank - 1}")
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exponentials of the distance to the maximum, so that none overflows."""
        exponential = np.exp(inputs[0] - inputs[0].max(axis=self.axis, keepdims=True))
        return (exponential / exponential.sum(axis=self.axis, keepdims=True),)
