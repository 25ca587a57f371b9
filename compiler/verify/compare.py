"""Counting where two definitions of a network differ, and how far numbers are from floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log10

import numpy as np

from ..ir import Array


@dataclass(frozen=True)
class Comparison:
    """Two definitions of the network over some samples.

    `first` is the ONNX node of the earliest value that differs; `largest` the largest difference
    in output steps. Where not `required`, a difference is expected, and `reason` says why.
    `allowed` is how many differences `reason` explains.
    """

    what: str
    elements: int
    differences: int
    largest: int
    first: str
    required: bool
    reason: str = ""
    allowed: int = 0

    @property
    def passed(self) -> bool:
        """Whether the two agree as far as they must."""
        return self.differences <= self.allowed or not self.required


@dataclass
class Tally:
    """Differences by value name, summed over batches."""

    elements: dict[str, int] = field(default_factory=dict)
    differences: dict[str, int] = field(default_factory=dict)
    largest: int = 0

    def add(self, name: str, left: Array, right: Array, step: float = 0.0) -> None:
        """Compare two arrays of codes, or of reals as they are, which are multiples of `step`."""
        self.elements[name] = self.elements.get(name, 0) + left.size
        different = left.reshape(right.shape) != right
        if left.dtype.kind == "f":  # NaN equals NaN
            different &= ~(np.isnan(left.reshape(right.shape)) & np.isnan(right))
        count = int(np.count_nonzero(different))
        self.differences[name] = self.differences.get(name, 0) + count
        if count and (step or left.dtype.kind in "iu"):
            unit = step or 1.0
            wide = left.reshape(right.shape).astype(np.float64) - right.astype(np.float64)
            self.largest = max(self.largest, int(np.rint(np.abs(wide).max() / unit)))

    def close(
        self, what: str, labels: Mapping[str, str], required: bool = True, reason: str = ""
    ) -> Comparison:
        """The result; `labels` maps value names to ONNX nodes, in the order of the graph."""
        wrong = [label for name, label in labels.items() if self.differences.get(name)]
        return Comparison(
            what,
            sum(self.elements.values()),
            sum(self.differences.values()),
            self.largest,
            wrong[0] if wrong else "",
            required,
            reason,
        )


@dataclass
class Noise:
    """Signal and error power of approximate values against exact ones."""

    signal: float = 0.0
    error: float = 0.0

    def add(self, exact: Array, approximate: Array) -> None:
        """Count one batch."""
        reference = exact.astype(np.float64)
        difference = approximate.astype(np.float64).reshape(reference.shape) - reference
        self.signal += float(np.vdot(reference, reference))
        self.error += float(np.vdot(difference, difference))

    @property
    def decibels(self) -> float | None:
        """Signal to quantization noise ratio; None where both are the same or all zero."""
        if self.error == 0.0 or self.signal == 0.0:
            return None if self.error == 0.0 else -inf
        return 10 * log10(self.signal / self.error)
