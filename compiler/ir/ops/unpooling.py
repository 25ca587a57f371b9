"""The inverse of maximum pooling."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_spatial


@op("max_unpool", Stage.FLOAT)
class MaxUnpool(Op):
    """Elements put back to the places that MaxPoolIndices gives; the rest is 0.

    Operands: x, indices, both ``[N, C, ...]``. Indices count in an input of extents `pooled`; the
    result has the extents `extents`, which are no smaller.
    """

    pooled: tuple[int, ...]
    extents: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, *extents]`` in the type of x."""
        expect_count(operands, 2)
        x, indices = operands
        expect_spatial(x, len(self.pooled))
        if indices.shape != x.shape or indices.dtype is not DType.I64:
            raise OpError(f"indices are {indices.dtype} {list(indices.shape)}, needed as x in i64")
        if len(self.extents) != len(self.pooled) or any(
            e < p for e, p in zip(self.extents, self.pooled, strict=True)
        ):
            raise OpError(f"extents {list(self.extents)} must hold {list(self.pooled)}")
        return (x.with_shape((*x.shape[:2], *self.extents)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A scatter within each sample."""
        x, indices = inputs
        samples, size = types[0].shape[0], x.shape[1] * prod(self.pooled)
        offset = (np.arange(len(x)) // samples * samples * size).reshape(-1, *(1,) * (x.ndim - 1))
        flat = np.zeros(len(x) * size, x.dtype)
        flat[(indices + offset).reshape(-1)] = x.reshape(-1)
        whole = flat.reshape(*x.shape[:2], *self.pooled)
        widths = [(0, e - p) for e, p in zip(self.extents, self.pooled, strict=True)]
        return (np.pad(whole, [(0, 0), (0, 0), *widths]),)
