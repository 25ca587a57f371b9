"""Normalization of codes over some axes: exact statistics, one rounding, then the output stage.

With K codes x of one group and their zero point z, and with s the scale of the codes::

    d = K * x - sum x                 (K * (x - z) where the mean is not taken away)
    V = sum d^2                       exact, below 2^63 for K up to 32768
    e = rne(K^3 * epsilon / s^2)      so that (V + e) / K^3 * s^2 is the variance plus epsilon
    n = rne(d * (2^16 / sqrt((V + e) / K)))      in units of 2^-16, each step in float64
    y = requantize((n + bias) * scale)

Bias and scale are one number an element or broadcast: they carry the affine map behind a
normalization (`affine_words`). |n| is at most ``sqrt(K) * 2^16``. What real arithmetic would give
on the same codes, y as a real value misses by no more than the sum of

    half a code                            the output stage rounds to codes
    2^-15 * |gamma|                        n and the bias are rounded, n also three times in float64
    |gamma * n| / (4 * K * (K - 1))        e is rounded, and V is at least K * (K - 1) or 0
    2^-21 * |y|                            the output stage has 24 bits
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt, prod

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, OpError, Stage, op
from ..requant import Requant
from ..types import DType, QuantParams, TensorType
from .checks import broadcasts
from .codes import activation

UNIT_BITS = 16
LONGEST_ROW = 1 << 15
_LARGEST_WORD = (1 << 64) - 1
# Scale words hold magnitudes from 2^-104 to below 2^24.
_SMALLEST_SCALE = np.float32(2.0**-100)
_LARGEST_SCALE = np.nextafter(np.float32(2.0**24), np.float32(0))


@op("qnormalize", Stage.QUANTIZED | Stage.TILED)
class QNormalize(Op):
    """Normalization of codes over `axes`, with a scale and an offset an element.

    Operands: x codes, bias int32 in units of 2^-16, scale float32 from these units to output
    codes; both broadcast to x. Without `center` the mean stays: x is divided by the root of its
    mean square. `epsilon` is that of the real variance.
    """

    axes: tuple[int, ...]
    epsilon: float
    center: bool
    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of x."""
        x, bias, scale = operands
        activation(x, "operand x")
        if tuple(sorted(set(self.axes))) != self.axes or not self._fit(x.rank):
            raise OpError(f"axes are {self.axes}; they must ascend within 1..{x.rank - 1}")
        if self.row(x) > LONGEST_ROW:
            raise OpError(f"{self.row(x)} elements are normalized; at most {LONGEST_ROW} are")
        for what, type_, dtype in (("bias", bias, DType.I32), ("scale", scale, DType.F32)):
            if type_.dtype is not dtype or not broadcasts(type_.shape, x.shape):
                raise OpError(
                    f"operand {what} is {type_.dtype} {type_.shape}; it must be {dtype} and "
                    f"broadcast to {x.shape}"
                )
        return (self.requant.type(x.shape),)

    def _fit(self, rank: int) -> bool:
        return bool(self.axes) and self.axes[0] > 0 and self.axes[-1] < rank

    def row(self, x: TensorType) -> int:
        """Elements that are normalized together."""
        return prod(x.shape[axis] for axis in self.axes)

    def epsilon_word(self, x: TensorType) -> int:
        """The integer ``rne(K^3 * epsilon / s^2)``, at most 64 bits."""
        scale = Fraction(activation(x).scale[0])
        exact = self.row(x) ** 3 * Fraction(self.epsilon) / scale**2
        return min(round(exact), _LARGEST_WORD)

    def normalized(self, x: Array, type_: TensorType) -> NDArray[np.int64]:
        """The normalized values of codes x in units of 2^-16."""
        count, codes = self.row(type_), x.astype(np.int64)
        if self.center:
            distance = count * codes - codes.sum(axis=self.axes, keepdims=True)
        else:
            distance = count * (codes - activation(type_).zero_point[0])
        squares = np.square(distance).sum(axis=self.axes, keepdims=True).astype(np.uint64)
        total = squares + np.uint64(self.epsilon_word(type_))
        total = np.where(total < squares, np.uint64(_LARGEST_WORD), total)
        deviation = np.sqrt(total.astype(np.float64) / np.float64(count))
        factor = np.divide(2.0**UNIT_BITS, deviation, out=np.zeros_like(deviation), where=total > 0)
        return np.asarray(np.rint(distance.astype(np.float64) * factor), np.int64)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact statistics, then the output stage."""
        x, bias, scale = inputs
        return (self.requant.apply(self.normalized(x, types[0]) + bias, scale),)


def affine_words(
    gamma: Array, beta: Array, row: int, output: QuantParams
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Bias and scale of ``gamma * normalized + beta``, in the shape that both broadcast to.

    ``scale = gamma * 2^-16 / sy`` and ``bias = rint(beta / gamma * 2^16)``. Where that bias would
    leave int32, gamma is tiny beside beta: the bias is the largest that fits, and the scale is
    what makes it beta. A normalized value then moves the result by at most
    ``|beta| * sqrt(row) * 2^-14`` instead of by less than that.
    """
    gamma, beta = np.broadcast_arrays(gamma.astype(np.float64), beta.astype(np.float64))
    steps = float(np.float32(output.scale[0]))
    largest = float((1 << 31) - 1 - ((isqrt(row) + 1) << UNIT_BITS))
    units = beta * 2.0**UNIT_BITS
    small = np.abs(gamma) * largest < np.abs(units)
    safe = np.where(small | (gamma == 0), 1.0, gamma)
    bias = np.where(small, np.copysign(largest, beta), units / safe)
    factor = np.where(small, np.abs(units) / largest, gamma)
    scale = (factor / (steps * 2.0**UNIT_BITS)).astype(np.float32)
    scale = np.where(np.abs(scale) < _SMALLEST_SCALE, np.float32(0), scale)
    scale = np.clip(scale, -_LARGEST_SCALE, _LARGEST_SCALE)
    return np.rint(bias).astype(np.int32), scale.astype(np.float32)
