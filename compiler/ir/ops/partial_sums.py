"""Sums of codes that are made run by run: of the rows of a run, of two runs, and their codes.

Together they compute what `qreduce_sum` and the mean poolings do of the whole tensor. Sums of
integers are exact, so that the order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..requant import Requant
from ..types import DType, TensorType
from .checks import expect_count
from .codes import byte_codes
from .quantized_reduce import check_reduction
from .reduce import reduced_shape


@op("partial_sum", Stage.TILED)
class PartialSum(Op):
    """Sum of codes over `axes`, which keep extent 1, in i32; zero points are still in it."""

    axes: tuple[int, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """32-bit integers."""
        (x,) = operands
        byte_codes(x)
        check_reduction(x, self.axes)
        return (TensorType(DType.I32, reduced_shape(x.shape, self.axes, True)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The sum."""
        return (inputs[0].sum(axis=self.axes, keepdims=True, dtype=np.int32),)


@op("add_sums", Stage.TILED)
class AddSums(Op):
    """Sum of two tensors of partial sums; what they are parts of fits 32 bits."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of both."""
        expect_count(operands, 2)
        a, b = operands
        if a.dtype is not DType.I32 or a != b:
            raise OpError(f"operands are {a} and {b}; they must be i32 of one shape")
        return (a,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The sum."""
        return (inputs[0] + inputs[1],)


@op("requantize_sums", Stage.TILED)
class RequantizeSums(Op):
    """Codes of sums: the output stage of ``(sum + bias)`` with `scale` in float32.

    Reduced `axes` have extent 1, and without `keep` they vanish. `biased` adds the zero point
    before the last rounding.
    """

    axes: tuple[int, ...]
    keep: bool
    bias: int
    scale: float
    biased: bool
    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes, without the reduced axes or with all axes."""
        (sums,) = operands
        if sums.dtype is not DType.I32 or any(sums.shape[axis] != 1 for axis in self.axes):
            raise OpError(f"the operand is {sums}; it must be i32 of extent 1 along {self.axes}")
        return (self.requant.type(reduced_shape(sums.shape, self.axes, self.keep)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The output stage."""
        sums = inputs[0].astype(np.int64) + self.bias
        codes = self.requant.apply(sums, np.asarray(self.scale, np.float32), self.biased)
        shape = reduced_shape(types[0].shape, self.axes, self.keep)
        return (codes.reshape(len(codes), *shape[1:]),)
