"""Element-wise functions of one operand, with results of its type.

Parameters are rounded to the type of the operand, transcendental functions evaluated in float64
and rounded once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_floating, expect_number, expect_same


class Unary(Op):
    """An element-wise function on floats; the result has the type of the operand."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        expect_count(operands, 1)
        self.check(operands)
        return (operands[0],)

    def check(self, operands: Sequence[TensorType]) -> None:
        """Raise `OpError` where the function is not defined for this element type."""
        expect_floating(operands)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Apply the function to every element."""
        with np.errstate(all="ignore"):
            return (self.apply(inputs[0]),)

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """The function on an array; returns an array of the same type."""


def _unit_interval(x: Array) -> Array:
    clipped: Array = np.clip(x, x.dtype.type(0), x.dtype.type(1))
    return clipped


@op("relu", Stage.FLOAT)
class Relu(Unary):
    """``max(x, 0)``."""

    def check(self, operands: Sequence[TensorType]) -> None:
        """Any numbers."""
        expect_number(operands)

    def apply(self, x: Array) -> Array:
        """The larger of x and zero."""
        return np.asarray(np.maximum(x, x.dtype.type(0)))


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
        """Clip to the rounded bounds."""
        return np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high))


@op("leaky_relu", Stage.FLOAT)
class LeakyRelu(Unary):
    """``x`` where x is not negative, ``alpha * x`` elsewhere."""

    alpha: float

    def apply(self, x: Array) -> Array:
        """Scale the negative elements."""
        return np.where(x >= 0, x, x * x.dtype.type(self.alpha))


@op("sigmoid", Stage.FLOAT)
class Sigmoid(Unary):
    """``1 / (1 + exp(-x))``, evaluated in float64 and rounded once."""

    def apply(self, x: Array) -> Array:
        """By way of tanh, which does not overflow."""
        return (0.5 + 0.5 * np.tanh(0.5 * x.astype(np.float64))).astype(x.dtype)


@op("tanh", Stage.FLOAT)
class Tanh(Unary):
    """Hyperbolic tangent, evaluated in float64 and rounded once."""

    def apply(self, x: Array) -> Array:
        """The tangent of every element."""
        return np.tanh(x.astype(np.float64)).astype(x.dtype)


@op("hard_sigmoid", Stage.FLOAT)
class HardSigmoid(Unary):
    """``min(max(alpha * x + beta, 0), 1)``."""

    alpha: float = 0.2
    beta: float = 0.5

    def apply(self, x: Array) -> Array:
        """A clipped straight line."""
        line = x * x.dtype.type(self.alpha) + x.dtype.type(self.beta)
        return _unit_interval(line)


@op("hard_swish", Stage.FLOAT)
class HardSwish(Unary):
    """``x * min(max(x / 6 + 0.5, 0), 1)``."""

    def apply(self, x: Array) -> Array:
        """Multiply x by its hard sigmoid with slope 1/6."""
        line = x * x.dtype.type(1 / 6) + x.dtype.type(0.5)
        y: Array = x * _unit_interval(line)
        return y


@op("affine", Stage.FLOAT)
class Affine(Unary):
    """``x * scale + offset`` with one scale and one offset for the whole tensor."""

    scale: float
    offset: float

    def apply(self, x: Array) -> Array:
        """Multiply, round, add, round."""
        return np.asarray(x * x.dtype.type(self.scale) + x.dtype.type(self.offset))


@op("identity", Stage.FLOAT)
class Identity(Unary):
    """x itself."""

    def check(self, operands: Sequence[TensorType]) -> None:
        """Anything but codes."""
        expect_same(operands)

    def apply(self, x: Array) -> Array:
        """The operand, not a copy."""
        return x
