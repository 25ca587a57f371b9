"""Element-wise functions of one float32 operand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_float


class Unary(Op):
    """An element-wise function: float32 in, float32 of the same shape out."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        expect_count(operands, 1)
        expect_float(operands)
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Apply the function to every element."""
        return (self.apply(inputs[0]),)

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """The function on a float32 array; returns float32."""


def _unit_interval(x: Array) -> Array:
    clipped: Array = np.clip(x, np.float32(0), np.float32(1))
    return clipped


@op("relu", Stage.FLOAT)
class Relu(Unary):
    """``max(x, 0)``."""

    def apply(self, x: Array) -> Array:
        """The larger of x and zero."""
        return np.maximum(x, np.float32(0))


@op("clip", Stage.FLOAT)
class Clip(Unary):
    """``min(max(x, low), high)``; either bound may be infinite."""

    low: float
    high: float

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        if not self.low <= self.high:
            raise OpError(f"low is {self.low}, it must not exceed high, which is {self.high}")
        return super().infer(operands)

    def apply(self, x: Array) -> Array:
        """Clip to the bounds rounded to float32."""
        return np.clip(x, np.float32(self.low), np.float32(self.high))


@op("leaky_relu", Stage.FLOAT)
class LeakyRelu(Unary):
    """``x`` where x is not negative, ``alpha * x`` elsewhere."""

    alpha: float

    def apply(self, x: Array) -> Array:
        """Scale the negative elements."""
        return np.where(x >= 0, x, x * np.float32(self.alpha))


@op("sigmoid", Stage.FLOAT)
class Sigmoid(Unary):
    """``1 / (1 + exp(-x))``, evaluated in float64 and rounded once."""

    def apply(self, x: Array) -> Array:
        """By way of tanh, which does not overflow."""
        return (0.5 + 0.5 * np.tanh(0.5 * x.astype(np.float64))).astype(np.float32)


@op("tanh", Stage.FLOAT)
class Tanh(Unary):
    """Hyperbolic tangent, evaluated in float64 and rounded once."""

    def apply(self, x: Array) -> Array:
        """The tangent of every element."""
        return np.tanh(x.astype(np.float64)).astype(np.float32)


@op("hard_sigmoid", Stage.FLOAT)
class HardSigmoid(Unary):
    """``min(max(alpha * x + beta, 0), 1)``."""

    alpha: float = 0.2
    beta: float = 0.5

    def apply(self, x: Array) -> Array:
        """A clipped straight line."""
        line = x * np.float32(self.alpha) + np.float32(self.beta)
        return _unit_interval(line)


@op("hard_swish", Stage.FLOAT)
class HardSwish(Unary):
    """``x * min(max(x / 6 + 0.5, 0), 1)``."""

    def apply(self, x: Array) -> Array:
        """Multiply x by its hard sigmoid with slope 1/6."""
        line = x * np.float32(1 / 6) + np.float32(0.5)
        y: Array = x * _unit_interval(line)
        return y


@op("affine", Stage.FLOAT)
class Affine(Unary):
    """``x * scale + offset`` with one scale and one offset for the whole tensor."""

    scale: float
    offset: float

    def apply(self, x: Array) -> Array:
        """Multiply, round, add, round."""
        return x * np.float32(self.scale) + np.float32(self.offset)


@op("identity", Stage.FLOAT)
class Identity(Unary):
    """x itself."""

    def apply(self, x: Array) -> Array:
        """The operand, not a copy."""
        return x
