"""Spreading elements apart: the part of a transposed convolution that moves its input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_lengths, expect_spatial
from .shape import expect_tensor_quantization


@op("dilate", Stage.ANY)
class Dilate(Op):
    """``stride - 1`` zeros between neighbours along each spatial axis of x ``[N, C, ...]``.

    Extent d becomes ``(d - 1) * stride + 1``. On codes a zero is the zero point.
    """

    strides: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, ...]`` with the element type and quantization of x."""
        expect_count(operands, 1)
        x = operands[0]
        expect_lengths({"strides": self.strides}, expect_spatial(x))
        if min(self.strides) < 1:
            raise OpError(f"strides is {list(self.strides)}, each must be at least 1")
        if 0 in x.shape:
            raise OpError(f"operand 0 has shape {list(x.shape)}, it must have elements")
        expect_tensor_quantization(x)
        return (x.with_shape((*x.shape[:2], *self._extents(x.shape[2:]))),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Zeros, into which x is written with steps."""
        x, quant = inputs[0], types[0].quant
        zero = 0 if quant is None else quant.zero_point[0]
        y = np.full((*x.shape[:2], *self._extents(x.shape[2:])), zero, x.dtype)
        y[(slice(None), slice(None), *(slice(None, None, step) for step in self.strides))] = x
        return (y,)

    def _extents(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        return tuple((d - 1) * step + 1 for d, step in zip(spatial, self.strides, strict=True))
