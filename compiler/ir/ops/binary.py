"""Element-wise functions of two float32 operands, with NumPy's broadcasting.

Axes are aligned from the last, so both operands must have the same rank wherever both are
computed: otherwise their batch axes would not meet. The importer sees to that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_float


def broadcast_shape(a: TensorType, b: TensorType) -> tuple[int, ...]:
    """Shape of an element-wise result; raises `OpError` where the operands do not broadcast."""
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise OpError(
            f"shapes {list(a.shape)} and {list(b.shape)} do not broadcast: aligned from the "
            "last axis, extents must be equal or 1"
        ) from None


class Binary(Op):
    """An element-wise function of two operands: float32 in, float32 out."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The broadcast shape."""
        expect_count(operands, 2)
        expect_float(operands)
        return (TensorType(DType.F32, broadcast_shape(*operands)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Apply the function to every pair of elements."""
        return (self.apply(inputs[0], inputs[1]),)

    @abstractmethod
    def apply(self, a: Array, b: Array) -> Array:
        """The function on float32 arrays; returns float32."""


@op("add", Stage.FLOAT)
class Add(Binary):
    """``a + b``."""

    def apply(self, a: Array, b: Array) -> Array:
        """The sum."""
        return np.add(a, b)


@op("sub", Stage.FLOAT)
class Sub(Binary):
    """``a - b``."""

    def apply(self, a: Array, b: Array) -> Array:
        """The difference."""
        return np.subtract(a, b)


@op("mul", Stage.FLOAT)
class Mul(Binary):
    """``a * b``."""

    def apply(self, a: Array, b: Array) -> Array:
        """The product."""
        return np.multiply(a, b)


@op("div", Stage.FLOAT)
class Div(Binary):
    """``a / b``; division by zero gives infinities and NaN, as IEEE 754 has it."""

    def apply(self, a: Array, b: Array) -> Array:
        """The quotient."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.divide(a, b)
