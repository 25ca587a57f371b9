"""Reductions over axes, positions of extremes, and running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_axis, expect_count, expect_number, expect_same


class Reduction(StrEnum):
    """What a set of elements is reduced to."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    PROD = "prod"
    L1 = "l1"
    L2 = "l2"
    LOG_SUM = "log_sum"
    LOG_SUM_EXP = "log_sum_exp"
    SUM_SQUARE = "sum_square"


Axes = tuple[int, ...]


def _extreme(function: Callable[..., Array], low: bool) -> Callable[[Array, Axes], Array]:
    """A reduction that has the type's other end for no elements."""

    def reduce(x: Array, axes: Axes) -> Array:
        if x.dtype.kind == "f":
            empty = np.inf if low else -np.inf
        elif x.dtype.kind == "b":
            empty = low
        else:
            empty = np.iinfo(x.dtype).max if low else np.iinfo(x.dtype).min
        return function(x, axis=axes, keepdims=True, initial=empty)

    return reduce


def _log_sum_exp(x: Array, axes: Axes) -> Array:
    wide = x.astype(np.float64)
    highest = wide.max(axis=axes, keepdims=True, initial=-np.inf)
    highest = np.where(np.isfinite(highest), highest, 0)
    return np.asarray(np.log(np.exp(wide - highest).sum(axis=axes, keepdims=True)) + highest)


def _wide_sum(x: Array, axes: Axes) -> Array:
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    return np.asarray(wide.sum(axis=axes, keepdims=True))


_REDUCTIONS: dict[Reduction, Callable[[Array, Axes], Array]] = {
    Reduction.SUM: _wide_sum,
    Reduction.MEAN: lambda x, axes: x.astype(np.float64).mean(axis=axes, keepdims=True),
    Reduction.MAX: _extreme(np.max, low=False),
    Reduction.MIN: _extreme(np.min, low=True),
    Reduction.PROD: lambda x, axes: x.prod(axis=axes, keepdims=True, dtype=x.dtype),
    Reduction.L1: lambda x, axes: _wide_sum(np.abs(x), axes),
    Reduction.L2: lambda x, axes: np.sqrt(_wide_sum(np.square(x.astype(np.float64)), axes)),
    Reduction.LOG_SUM: lambda x, axes: np.log(_wide_sum(x, axes)),
    Reduction.LOG_SUM_EXP: _log_sum_exp,
    Reduction.SUM_SQUARE: lambda x, axes: _wide_sum(np.square(x), axes),
}


@op("reduce", Stage.FLOAT)
class Reduce(Op):
    """Reduction over `axes`, which keep extent 1 or vanish."""

    reduction: Reduction
    axes: tuple[int, ...]
    keep: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand in the smaller shape."""
        expect_count(operands, 1)
        x = operands[0]
        if self.reduction in (Reduction.MAX, Reduction.MIN):
            expect_same(operands)
        else:
            expect_number(operands)
        for axis in self.axes:
            expect_axis(axis, x.rank)
        return (x.with_shape(reduced_shape(x.shape, self.axes, self.keep)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not reduced to one."""
        return "axis 0 is reduced" if 0 in self.axes else ""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Reduce in float64 where sums of floats are taken."""
        x = inputs[0]
        with np.errstate(all="ignore"):
            found = np.asarray(_REDUCTIONS[self.reduction](x, self.axes)).astype(x.dtype)
        return (found.reshape(reduced_shape(x.shape, self.axes, self.keep)),)


def reduced_shape(shape: tuple[int, ...], axes: Sequence[int], keep: bool) -> tuple[int, ...]:
    """The shape with extent 1 along `axes`, or without them."""
    kept = enumerate(shape)
    return tuple(1 if axis in axes else e for axis, e in kept if keep or axis not in axes)


@op("position", Stage.FLOAT)
class Position(Op):
    """Index of the largest or smallest element along an axis, the first or the last of equals."""

    axis: int
    largest: bool
    last: bool = False
    keep: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Indices in i64."""
        expect_count(operands, 1)
        expect_number(operands)
        x = operands[0]
        expect_axis(self.axis, x.rank)
        if not x.shape[self.axis]:
            raise OpError(f"axis {self.axis} has no elements")
        return (TensorType(DType.I64, reduced_shape(x.shape, (self.axis,), self.keep)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not compared."""
        return "" if self.axis else "axis 0 is reduced"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Look from either end."""
        x = np.flip(inputs[0], self.axis) if self.last else inputs[0]
        find = np.argmax if self.largest else np.argmin
        found = np.asarray(find(x, axis=self.axis, keepdims=self.keep), np.int64)
        return (x.shape[self.axis] - 1 - found if self.last else found,)


@op("running", Stage.FLOAT)
class Running(Op):
    """Sums or products of the elements up to each along an axis.

    With `exclusive` the element itself is left out, with `reverse` it goes from the end.
    """

    axis: int
    product: bool = False
    exclusive: bool = False
    reverse: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        expect_count(operands, 1)
        expect_number(operands)
        expect_axis(self.axis, operands[0].rank)
        return (operands[0],)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not added up."""
        return "" if self.axis else "axis 0 is the batch"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """NumPy's running sum or product, shifted by one element where exclusive."""
        x = np.flip(inputs[0], self.axis) if self.reverse else inputs[0]
        if self.exclusive:
            widths = [(int(axis == self.axis), 0) for axis in range(x.ndim)]
            padded = np.pad(x, widths, constant_values=int(self.product))
            x = np.delete(padded, -1, self.axis)
        run = np.cumprod if self.product else np.cumsum
        found = np.asarray(run(x, axis=self.axis, dtype=x.dtype))
        return (np.flip(found, self.axis).copy() if self.reverse else found,)
