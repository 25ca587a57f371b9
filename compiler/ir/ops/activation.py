"""Activations with parameters, beyond those that have an integer form of their own."""

from __future__ import annotations

import numpy as np

from ..op import Array, Stage, op
from .unary import Unary


@op("elu", Stage.FLOAT)
class Elu(Unary):
    """``scale * x`` above zero, ``scale * alpha * (exp(x / width) - 1)`` elsewhere.

    Elu has scale and width 1, Selu another scale, Celu a width of alpha.
    """

    alpha: float
    scale: float = 1.0
    width: float = 1.0

    def apply(self, x: Array) -> Array:
        """Two branches in float64."""
        wide = x.astype(np.float64)
        below = self.alpha * np.expm1(np.minimum(wide, 0) / self.width)
        return np.asarray(self.scale * np.where(wide > 0, wide, below)).astype(x.dtype)


@op("swish", Stage.FLOAT)
class Swish(Unary):
    """``x / (1 + exp(-alpha * x))``."""

    alpha: float

    def apply(self, x: Array) -> Array:
        """By way of tanh, which does not overflow."""
        wide = x.astype(np.float64)
        return np.asarray(wide * (0.5 + 0.5 * np.tanh(0.5 * self.alpha * wide))).astype(x.dtype)


@op("threshold", Stage.FLOAT)
class Threshold(Unary):
    """``x`` above alpha, 0 elsewhere."""

    alpha: float

    def apply(self, x: Array) -> Array:
        """Choose."""
        return np.where(x > x.dtype.type(self.alpha), x, x.dtype.type(0))


@op("shrink", Stage.FLOAT)
class Shrink(Unary):
    """``x + bias`` below -bound, ``x - bias`` above bound, 0 between."""

    bound: float
    bias: float

    def apply(self, x: Array) -> Array:
        """Choose."""
        bound, bias = x.dtype.type(self.bound), x.dtype.type(self.bias)
        above = np.where(x > bound, x - bias, x.dtype.type(0))
        return np.asarray(np.where(x < -bound, x + bias, above))
