"""Rows put together: a part of a tensor, from the parts that its producers have made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType

Span = tuple[int, int]  # first index, behind the last


@op("rows", Stage.TILED)
class Rows(Op):
    """The rows `spans[i]` along `axis` of each operand i, one behind the other.

    It only moves codes: to where the rows are read, into one run of memory.
    """

    axis: int
    spans: tuple[Span, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operands, with as many rows as all spans have."""
        if len(operands) != len(self.spans) or not operands:
            raise OpError(f"{len(operands)} operands for {len(self.spans)} spans of rows")
        first, axis = operands[0], self.axis
        if not 0 < axis < first.rank:
            raise OpError(f"axis is {axis}; it must be in 1..{first.rank - 1}")
        for x, (start, stop) in zip(operands, self.spans, strict=True):
            if not 0 <= start < stop <= x.shape[axis]:
                raise OpError(f"rows {start}..{stop} of {x.shape[axis]} along axis {axis}")
            if self._with_rows(x, 1) != self._with_rows(first, 1):
                raise OpError(f"operands {first} and {x} differ in more than their rows")
        return (self._with_rows(first, sum(stop - start for start, stop in self.spans)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The spans, joined."""
        parts = [
            x[(slice(None),) * self.axis + (slice(start, stop),)]
            for x, (start, stop) in zip(inputs, self.spans, strict=True)
        ]
        return (np.concatenate(parts, axis=self.axis),)

    def _with_rows(self, type_: TensorType, rows: int) -> TensorType:
        return replace(
            type_, shape=(*type_.shape[: self.axis], rows, *type_.shape[self.axis + 1 :])
        )
