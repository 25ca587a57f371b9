"""Comparing results with expected ones, element by element and without tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Comparison:
    """Where two arrays differ.

    `largest` is the largest difference in magnitude (infinite where only one side is NaN),
    `first` the index of the first element that differs, in row-major order.
    """

    elements: int
    differences: int
    largest: float
    first: tuple[int, ...] | None

    @property
    def equal(self) -> bool:
        """Whether no element differs."""
        return self.differences == 0


def compare(actual: NDArray[Any], expected: NDArray[Any]) -> Comparison:
    """Compare arrays of numbers of the same shape; NaN equals NaN.

    Raises `ValueError` where the shapes differ.

    >>> compare(np.array([1, 2, 3]), np.array([1, 5, 3]))
    Comparison(elements=3, differences=1, largest=3.0, first=(1,))
    """
    if actual.shape != expected.shape:
        raise ValueError(
            f"arrays of shape {actual.shape} and {expected.shape} cannot be compared; "
            "both must have the same shape"
        )
    # NaN is the only value that is not itself, also in integer arrays, which have none.
    different = (actual != expected) & ~((actual != actual) & (expected != expected))
    count = int(np.count_nonzero(different))
    if count == 0:
        return Comparison(actual.size, 0, 0.0, None)
    first = np.unravel_index(int(np.argmax(different)), actual.shape)
    largest = _largest(actual[different], expected[different])
    return Comparison(actual.size, count, largest, tuple(int(i) for i in first))


def _largest(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    return float(np.where(np.isnan(distance), np.inf, distance).max())
