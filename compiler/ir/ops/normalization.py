"""Normalization in floats: batch normalization (inference form), softmax and relatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_axis, expect_count, expect_floating, expect_vector


@op("batch_normalization", Stage.FLOAT)
class BatchNormalization(Op):
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` for each channel (axis 1) of x.

    Operands: x ``[N, C, ...]``, scale, bias, mean, var ``[C]``.
    """

    epsilon: float = 1e-5

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 5)
        expect_floating(operands)
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
        offset = (bias - mean * factor).astype(x.dtype).reshape(shape)
        return (x * factor.astype(x.dtype).reshape(shape) + offset,)


class AlongAxis(Op):
    """A function of the vectors along one axis of x, with a result of the type of x."""

    axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 1)
        expect_floating(operands)
        expect_axis(self.axis, operands[0].rank)
        return (operands[0],)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """The axis must not be that of the batch."""
        return "" if self.axis else f"axis is 0, allowed are 1 to {operands[0].rank - 1}"


@op("softmax", Stage.FLOAT)
class Softmax(AlongAxis):
    """``exp(x) / sum(exp(x))`` along one axis, which is not a batch axis."""

    axis: int

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exponentials of the distance to the maximum, so that none overflows."""
        exponential = np.exp(inputs[0] - inputs[0].max(axis=self.axis, keepdims=True))
        return (exponential / exponential.sum(axis=self.axis, keepdims=True),)


@op("log_softmax", Stage.FLOAT)
class LogSoftmax(AlongAxis):
    """The logarithm of softmax along one axis, which is not a batch axis."""

    axis: int

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Distances to the maximum less the logarithm of the sum of their exponentials."""
        distance = inputs[0] - inputs[0].max(axis=self.axis, keepdims=True)
        return (distance - np.log(np.exp(distance).sum(axis=self.axis, keepdims=True)),)


@op("hardmax", Stage.FLOAT)
class Hardmax(AlongAxis):
    """1 at the first largest element along one axis, 0 elsewhere."""

    axis: int

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Compare positions with that of the maximum."""
        x = inputs[0]
        positions = np.arange(x.shape[self.axis]).reshape(-1, *([1] * (x.ndim - 1 - self.axis)))
        return ((positions == x.argmax(self.axis, keepdims=True)).astype(x.dtype),)


@op("local_response_normalization", Stage.FLOAT)
class LocalResponseNormalization(Op):
    """``x / (bias + alpha / size * sum of squares over `size` neighbouring channels) ** beta``."""

    alpha: float
    beta: float
    bias: float
    size: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 1)
        expect_floating(operands)
        if operands[0].rank < 2 or self.size < 1:
            raise OpError("operand 0 needs channels, and size must be at least 1")
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A running sum over channels with zeros around them."""
        x = inputs[0]
        before = (self.size - 1) // 2
        widths = [(0, 0), (before, self.size - 1 - before), *([(0, 0)] * (x.ndim - 2))]
        squares = np.pad(x * x, widths)
        total = sum(squares[:, i : i + x.shape[1]] for i in range(self.size))
        scale = self.bias + self.alpha / self.size * np.asarray(total, np.float64)
        return ((x / scale**self.beta).astype(x.dtype),)
