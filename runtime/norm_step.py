"""Normalisation of rows as one step over whole arrays.

Sums of elements and of their squares stay below 2^53, so float64 holds them exactly, in any
order; the sum of squared distances follows from them in int64:
``sum((K * x - s)^2) = K * (K * sum(x^2) - s^2)`` with ``s = sum(x)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import ElementType

from .memory import Place
from .numerics import normal_factor
from .scratch import Slot
from .steps import OneSource, Run, Worker, batch_blocks

_FLOAT64 = np.dtype(np.float64)
_FLOAT64_LIMIT = 1 << 53
_INT64_LIMIT = 1 << 63


@dataclass(frozen=True)
class NormStep(OneSource):
    """Normalises rows of `length` elements, as `numerics.normalize` does."""

    length: int
    zero_point: int
    epsilon: int
    center: bool

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        src, dst = worker.memory.view(self.src), worker.memory.view(self.dst)
        blocks = list(batch_blocks(src.shape))

        def run() -> None:
            for rows in blocks:
                values = worker.scratch.array(Slot.RESULT, _FLOAT64, src[rows].shape)
                np.copyto(values, src[rows])
                self._normalize(values.reshape(-1, self.length))
                np.copyto(dst[rows], values.reshape(dst[rows].shape), casting="unsafe")

        return run

    def _normalize(self, values: NDArray[np.float64]) -> None:
        length = self.length
        if not self.center:
            np.subtract(values, self.zero_point, out=values)
        squares = np.einsum("ij,ij->i", values, values).astype(np.int64)[:, None]
        if self.center:
            sums = values.sum(axis=1, keepdims=True)
            whole = sums.astype(np.int64)
            spread = length * (length * squares - whole * whole)
            np.subtract(np.multiply(values, length, out=values), sums, out=values)
        else:
            spread = length * length * squares
            np.multiply(values, length, out=values)
        np.multiply(values, normal_factor(spread, self.epsilon, length), out=values)
        np.rint(values, out=values)


def is_exact(operand: Place, length: int, farthest: int) -> bool:
    """Tell whether all sums over rows fit, where no code is farther from the zero point."""
    squares = length * farthest**2
    is_code = operand.stream.element.size < ElementType.I32.size
    return is_code and squares < _FLOAT64_LIMIT and length**2 * squares < _INT64_LIMIT
