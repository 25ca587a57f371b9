"""Linear operators with constant weights: convolution and matrix product, in float32.

Convolution (cross-correlation) over n = 1 to 3 spatial axes, group g, kernel index k:
``y[b, o, p] = bias[o] + sum_{c, k} w[o, c, k] * x[b, g(o) * C/group + c, p * stride + k * dilation
- pad]``. The sums run in float32 BLAS over a matrix of columns, in an order that is BLAS's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import (
    expect_count,
    expect_float,
    expect_floating,
    expect_number,
    expect_spatial,
    expect_vector,
)
from .windows import Windows

_COLUMNS = 1 << 22  # elements of the column matrix built at once: 16 MiB, within reach of caches


def convolution_shape(
    windows: Windows, group: int, x: TensorType, w: TensorType
) -> tuple[int, ...]:
    """Shape of a convolution's result, with the batch axis of `x`; checks x against w."""
    expect_spatial(x, w.rank - 2)
    channels, (outputs, per_group) = x.shape[1], w.shape[:2]
    if group < 1 or outputs % group:
        raise OpError(f"{outputs} output channels do not split into {group} groups")
    if per_group * group != channels:
        raise OpError(
            f"operand 0 has {channels} channels, the weights {list(w.shape)} take "
            f"{per_group} in each of {group} groups"
        )
    return (x.shape[0], outputs, *windows.output(x.shape[2:]))


def matrix_product_shape(x: TensorType, w: TensorType) -> tuple[int, ...]:
    """Shape of ``x[..., K] @ w[K, N]``."""
    if w.rank != 2:
        raise OpError(f"weights have shape {list(w.shape)}, needed is [K, N]")
    if x.rank < 2 or x.shape[-1] != w.shape[0]:
        raise OpError(
            f"inner extents differ: operand 0 has shape {list(x.shape)}, the weights "
            f"{list(w.shape)}"
        )
    return (*x.shape[:-1], w.shape[1])


@op("conv", Stage.FLOAT)
class Conv(Op):
    """Convolution of x ``[N, C, ...]`` with w ``[O, C/group, ...]``, plus bias ``[O]`` if given."""

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    group: int = 1

    def windows(self, w: TensorType) -> Windows:
        """The geometry for weights of this type."""
        return Windows(w.shape[2:], self.strides, self.pads, self.dilations)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, O, ...]`` in the type of the operands."""
        expect_count(operands, 2, 3)
        expect_floating(operands)
        x, w = operands[:2]
        shape = convolution_shape(self.windows(w), self.group, x, w)
        if len(operands) == 3:
            expect_vector(operands[2], w.shape[0], "bias")
        return (x.with_shape(shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Convolve, a few samples at a time."""
        x, w = inputs[:2]
        wide = np.float32 if x.dtype == np.float16 else x.dtype  # half products sum in single
        y = convolve(
            x.astype(wide, copy=False),
            w.astype(wide, copy=False),
            self.windows(types[1]),
            self.group,
        )
        if len(inputs) == 3:
            y += inputs[2].reshape(-1, *([1] * (w.ndim - 2)))
        return (y.astype(x.dtype, copy=False),)


def convolve(x: Array, w: Array, windows: Windows, group: int) -> Array:
    """Convolution without bias in the element type of the operands (float32 or float64)."""
    output = windows.output(x.shape[2:])
    result = np.empty((len(x), len(w), *output), x.dtype)
    columns = x.shape[1] * prod(windows.kernel) * prod(output)
    step = max(1, _COLUMNS // max(1, columns))
    depthwise = w.shape[:2] == (group, 1) == (x.shape[1], 1)
    product = _depthwise if depthwise else _grouped
    for start in range(0, len(x), step):
        padded = windows.padded(x[start : start + step], 0)
        result[start : start + step] = product(padded, w, windows, group, output)
    return result


def _depthwise(
    padded: Array, w: Array, windows: Windows, group: int, output: tuple[int, ...]
) -> Array:
    taps = w.reshape(group, -1, *([1] * len(output)))
    total = np.zeros((len(padded), group, *output), padded.dtype)
    for index, view in enumerate(windows.taps(padded, output)):
        total += view * taps[:, index]
    return total


def _grouped(
    padded: Array, w: Array, windows: Windows, group: int, output: tuple[int, ...]
) -> Array:
    batch, channels = padded.shape[:2]
    size = prod(windows.kernel)
    columns = np.empty((batch, channels, size, *output), padded.dtype)
    for index, view in enumerate(windows.taps(padded, output)):
        columns[:, :, index] = view
    matrix = columns.reshape(batch, group, channels // group * size, prod(output))
    weights = w.reshape(group, len(w) // group, -1)
    product: Array = np.matmul(weights, matrix)
    return product.reshape(batch, len(w), *output)


@op("matmul", Stage.FLOAT)
class MatMul(Op):
    """Product of x ``[..., K]`` with constant w ``[K, N]``, plus bias ``[N]`` if given."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[..., N]`` in float32."""
        expect_count(operands, 2, 3)
        expect_float(operands)
        shape = matrix_product_shape(*operands[:2])
        if len(operands) == 3:
            expect_vector(operands[2], shape[-1], "bias")
        return (TensorType(DType.F32, shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One BLAS product over all rows of the batch."""
        x, w = inputs[:2]
        y = (x.reshape(-1, x.shape[-1]) @ w).reshape(*x.shape[:-1], w.shape[1])
        if len(inputs) == 3:
            y += inputs[2]
        return (y,)


@op("matrix_product", Stage.FLOAT)
class MatrixProduct(Op):
    """``a @ b * factor`` of two tensors of one type over the last two axes, the others broadcast.

    Integers take no factor.
    """

    factor: float = 1.0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """As NumPy multiplies matrices."""
        expect_count(operands, 2)
        expect_number(operands)
        if self.factor != 1 and not operands[0].dtype.is_float:
            raise OpError(f"factor is {self.factor} for a product of {operands[0].dtype}")
        a, b = (type_.shape for type_ in operands)
        left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
        try:
            outer = np.broadcast_shapes(left[:-2], right[:-2])
        except ValueError:
            outer = None
        if outer is None or not a or not b or left[-1] != right[-2]:
            raise OpError(f"{list(a)} cannot be multiplied by {list(b)}")
        rows, columns = left[-2:-1] * (len(a) > 1), right[-1:] * (len(b) > 1)
        return (operands[0].with_shape((*outer, *rows, *columns)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Both operands need the same rank, and axis 0 must not be one of the matrix."""
        apart = operands[0].rank == operands[1].rank > 2
        return "" if apart else "both operands need the same rank of at least 3"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The product; integers wrap around, half floats are summed in single."""
        a, b = inputs
        if a.dtype == np.float16:
            a, b = a.astype(np.float32), b.astype(np.float32)
        product = np.asarray(np.matmul(a, b))
        if self.factor != 1:
            product = product * product.dtype.type(self.factor)
        return (product.astype(inputs[0].dtype, copy=False),)
