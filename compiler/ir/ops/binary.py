"""Element-wise functions of two operands of one type, with NumPy's broadcasting.

Axes are aligned from the last, so both operands must have the same rank wherever both are
computed and axis 0 is the batch: otherwise their batch axes would not meet. The importer sees to
that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_integer, expect_number, expect_same


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
    """An element-wise function of two operands; the result has the type of operand 0."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The broadcast shape."""
        expect_count(operands, 2)
        self.check(operands)
        return (TensorType(self.result(operands[0].dtype), broadcast_shape(*operands)),)

    def check(self, operands: Sequence[TensorType]) -> None:
        """Raise `OpError` where the function is not defined for these element types."""
        expect_number(operands)

    def result(self, dtype: DType) -> DType:
        """Element type of the result for operands of this type."""
        return dtype

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Apply the function to every pair of elements."""
        with np.errstate(all="ignore"):
            return (np.asarray(self.apply(inputs[0], inputs[1])),)

    @abstractmethod
    def apply(self, a: Array, b: Array) -> Array:
        """The function on arrays."""


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
    """``a / b``; floats as IEEE 754 has it, integers cut towards zero."""

    def apply(self, a: Array, b: Array) -> Array:
        """The quotient."""
        if a.dtype.kind == "f":
            return np.divide(a, b)
        if a.dtype.kind == "u":
            return np.floor_divide(a, b)
        rest = np.fmod(a, b)  # has the sign of a
        return np.asarray(np.floor_divide(a - rest, b))


@op("minimum", Stage.FLOAT)
class Minimum(Binary):
    """The smaller of a and b; NaN if either is."""

    def apply(self, a: Array, b: Array) -> Array:
        """The minimum."""
        return np.minimum(a, b)


@op("maximum", Stage.FLOAT)
class Maximum(Binary):
    """The larger of a and b; NaN if either is."""

    def apply(self, a: Array, b: Array) -> Array:
        """The maximum."""
        return np.maximum(a, b)


@op("power", Stage.FLOAT)
class Power(Binary):
    """``a ** b`` in the type of a; b may have any numeric type."""

    def check(self, operands: Sequence[TensorType]) -> None:
        """Two numbers, whose types may differ."""
        expect_number(operands[:1])
        expect_number(operands[1:])

    def apply(self, a: Array, b: Array) -> Array:
        """Integers to integers exactly, everything else in NumPy's common type."""
        if a.dtype.kind == "f" or b.dtype.kind == "f" or not np.any(b < 0):
            return np.asarray(np.power(a, b)).astype(a.dtype)
        return np.asarray(np.power(a.astype(np.float64), b)).astype(a.dtype)


@op("modulo", Stage.FLOAT)
class Modulo(Binary):
    """The rest of a / b, with the sign of b, or with `truncate` with the sign of a."""

    truncate: bool = False

    def apply(self, a: Array, b: Array) -> Array:
        """The rest."""
        return np.fmod(a, b) if self.truncate else np.mod(a, b)


@op("prelu", Stage.FLOAT)
class PRelu(Binary):
    """``a`` where a is not negative, ``a * b`` elsewhere."""

    def apply(self, a: Array, b: Array) -> Array:
        """Scale the negative elements."""
        return np.where(a >= 0, a, a * b)


@op("bit_shift", Stage.FLOAT)
class BitShift(Binary):
    """Unsigned a shifted by b bits."""

    left: bool

    def check(self, operands: Sequence[TensorType]) -> None:
        """Integers of one type."""
        expect_same(operands)
        expect_integer(operands[0], "elements")

    def apply(self, a: Array, b: Array) -> Array:
        """Zeros come in."""
        return np.left_shift(a, b) if self.left else np.right_shift(a, b)
