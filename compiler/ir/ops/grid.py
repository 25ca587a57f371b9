"""Rounding of real values to the grid of a quantizer, as QONNX defines it, in floats.

``Quant``: ``y = (round(clip(x / scale + zero_point, low, high)) - zero_point) * scale``.
``Trunc`` divides whole numbers by a power of two before it rounds. ``BipolarQuant`` knows the
sign only. (Pappalardo et al., "QONNX", arXiv:2206.07527; PyPI `qonnx` is the reference.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..op import Array, Stage, op
from .unary import Unary


class Rounding(StrEnum):
    """Rounding to whole numbers; UP and DOWN are away from zero and towards it."""

    HALF_EVEN = "half_even"
    CEIL = "ceil"
    FLOOR = "floor"
    UP = "up"
    DOWN = "down"
    HALF_UP = "half_up"
    HALF_DOWN = "half_down"


_ROUND: dict[Rounding, Callable[[Array], Array]] = {
    Rounding.HALF_EVEN: np.rint,
    Rounding.CEIL: np.ceil,
    Rounding.FLOOR: np.floor,
    Rounding.UP: lambda x: np.sign(x) * np.ceil(np.abs(x)),
    Rounding.DOWN: np.trunc,
    Rounding.HALF_UP: lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    Rounding.HALF_DOWN: lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


def rounded(x: Array, rounding: Rounding) -> Array:
    """Whole numbers in the type of `x`."""
    return np.asarray(_ROUND[rounding](x))


@dataclass(frozen=True)
class Grid:
    """Real values of whole numbers: ``(n - zero_point) * scale``."""

    scale: float
    zero_point: float = 0.0


@op("to_grid", Stage.FLOAT)
class ToGrid(Unary):
    """The nearest point of a grid by one of the rules of rounding.

    With ``q = x / source.scale + source.zero_point``, and ``q = rint(q) / divisor`` where the
    divisor is not 1: ``n = round(clip(q, low, high))``, then the real value of n on `target`.
    """

    source: Grid
    target: Grid
    low: float
    high: float
    rounding: Rounding = Rounding.HALF_EVEN
    divisor: float = 1.0

    def apply(self, x: Array) -> Array:
        """In float32, one operation after the other, as the reference."""
        number = x.dtype.type
        q = x / number(self.source.scale) + number(self.source.zero_point)
        if self.divisor != 1:
            q = np.rint(q) / number(self.divisor)
        n = rounded(np.clip(q, number(self.low), number(self.high)), self.rounding)
        return np.asarray((n - number(self.target.zero_point)) * number(self.target.scale))


@op("bipolar", Stage.FLOAT)
class Bipolar(Unary):
    """`scale` where x is not negative, ``-scale`` elsewhere."""

    scale: float

    def apply(self, x: Array) -> Array:
        """The sign, zero being positive."""
        scale = x.dtype.type(self.scale)
        return np.asarray(np.where(x >= 0, scale, -scale))
