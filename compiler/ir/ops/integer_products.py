"""Integer products and quantization whose scales and zero points are operands.

Products are exact sums ``acc = sum (x - zx) * (w - zw)`` in int32. Requantization is
``y = clip(rint(f32(acc) * s) + zy)`` with ``s = f32(f32(sx * sw) / sy)``, half to even, the zero
point added after rounding: what onnxruntime's kernels compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_vector
from .linear import convolution_shape, convolve
from .windows import Windows

_BYTES = (DType.U8, DType.I8)
_CODES = (DType.U8, DType.I8, DType.U16, DType.I16)


@op("conv_integer", Stage.FLOAT)
class ConvInteger(Op):
    """Convolution of 8-bit codes to int32. Operands: x, w[, zx[, zw]].

    zx is one number, zw one number or one for each output channel. Padding is zx.
    """

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    group: int = 1

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, O, ...]`` in int32."""
        expect_count(operands, 2, 4)
        _expect_codes(operands, _BYTES)
        return (TensorType(DType.I32, self._shape(operands[0], operands[1])),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A convolution in float64, in which all sums are exact."""
        zeros = [*inputs[2:], *[np.zeros((), np.int8)] * (4 - len(inputs))]
        return (self.accumulate(inputs[0], zeros[0], inputs[1], zeros[1]),)

    def accumulate(self, x: Array, x_zero: Array, w: Array, w_zero: Array) -> NDArray[np.int32]:
        """Accumulators of codes x and weights w."""
        centred = x.astype(np.float64) - x_zero.reshape(())
        weights = w.astype(np.float64) - w_zero.reshape(-1, *(1,) * (w.ndim - 1))
        return convolve(centred, weights, self._windows(w.shape), self.group).astype(np.int32)

    def _windows(self, weights: tuple[int, ...]) -> Windows:
        return Windows(weights[2:], self.strides, self.pads, self.dilations)

    def _shape(self, x: TensorType, w: TensorType) -> tuple[int, ...]:
        return convolution_shape(self._windows(w.shape), self.group, x, w)


@op("qlinear_conv", Stage.FLOAT)
class QLinearConv(ConvInteger):
    """Convolution of 8-bit codes to codes.

    Operands: x, sx, zx, w, sw, zw, sy, zy[, bias ``[O]`` in int32]. sw and zw are one number, or
    one for each output channel.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, O, ...]`` in the type of zy."""
        expect_count(operands, 8, 9)
        _expect_codes([operands[index] for index in (0, 2, 3, 5, 7)], _BYTES)
        _expect_scales([operands[index] for index in (1, 4, 6)])
        if len(operands) == 9:
            expect_vector(operands[8], operands[3].shape[0], "bias")
        return (TensorType(operands[7].dtype, self._shape(operands[0], operands[3])),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact accumulators, then one rounding."""
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = inputs[:8]
        acc = self.accumulate(x, x_zero, w, w_zero)
        channels = (-1, *(1,) * (w.ndim - 2))
        if len(inputs) == 9:
            acc += inputs[8].reshape(channels)
        scale = _product_scale(x_scale.reshape(()), w_scale, y_scale.reshape(()))
        return (requantize(acc, scale.reshape(channels), y_zero.reshape(())),)


@op("matmul_integer", Stage.FLOAT)
class MatMulInteger(Op):
    """Matrix product of 8-bit codes a ``[..., M, K]`` and b ``[..., K, N]`` to int32.

    Operands: a, b[, za[, zb]]. za is one number, ``[M]`` or ``[..., M, 1]``; zb one number,
    ``[N]`` or ``[..., 1, N]``.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[..., M, N]`` in int32."""
        expect_count(operands, 2, 4)
        _expect_codes(operands, _BYTES)
        return (TensorType(DType.I32, product_shape(operands[0].shape, operands[1].shape)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A product in float64, in which all sums are exact."""
        zeros = [*inputs[2:], *[np.zeros((), np.int8)] * (4 - len(inputs))]
        return (integer_product(inputs[0], zeros[0], inputs[1], zeros[1]),)


@op("qlinear_matmul", Stage.FLOAT)
class QLinearMatMul(Op):
    """Matrix product of 8-bit codes to codes.

    Operands: a, sa, za, b, sb, zb, sy, zy. Scales and zero points of a are one number or one a
    row, those of b one number or one a column, those of y one number.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[..., M, N]`` in the type of zy."""
        expect_count(operands, 8)
        _expect_codes([operands[index] for index in (0, 2, 3, 5, 7)], _BYTES)
        _expect_scales([operands[index] for index in (1, 4, 6)])
        shape = product_shape(operands[0].shape, operands[3].shape)
        return (TensorType(operands[7].dtype, shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact accumulators, then one rounding."""
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = inputs
        acc = integer_product(a, a_zero, b, b_zero)
        scale = _product_scale(rows(a_scale), columns(b_scale), y_scale.reshape(()))
        return (requantize(acc, scale, y_zero.reshape(())),)


@op("dynamic_quantize_linear", Stage.FLOAT)
class DynamicQuantizeLinear(Op):
    """8-bit codes of x with the scale and zero point that just cover its range and zero.

    ``s = (max(x, 0) - min(x, 0)) / 255``, ``z = clip(rint(-min(x, 0) / s))``,
    ``y = clip(rint(x / s) + z)``; s is 1 where all of x is 0. Results: y, s, z.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of x, and two numbers."""
        expect_count(operands, 1)
        (x,) = operands
        if x.dtype is not DType.F32:
            raise OpError(f"operand 0 is {x.dtype}, needed is f32")
        return (TensorType(DType.U8, x.shape), TensorType(DType.F32, ()), TensorType(DType.U8, ()))

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """In float32 throughout."""
        x = inputs[0]
        low, high = np.minimum(x.min(initial=0), 0), np.maximum(x.max(initial=0), 0)
        scale = np.float32((high - low) / np.float32(255)) if high != low else np.float32(1)
        zero = np.rint(np.clip(-low / scale, 0, 255))
        codes = np.clip(np.rint(x / scale) + zero, 0, 255)
        return codes.astype(np.uint8), np.asarray(scale), np.asarray(zero, np.uint8)


@op("quantize_linear", Stage.FLOAT)
class QuantizeLinear(Op):
    """Codes ``clip(rint(x / s) + z)`` of x. Operands: x, s[, z].

    s and z are one number, one for each index of `axis`, or with `block` one for each block of
    so many neighbours along `axis`.
    """

    output: DType = DType.U8
    axis: int = 0
    block: int = 0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of x."""
        expect_count(operands, 2, 3)
        _expect_scales(operands[:2])
        _expect_codes([TensorType(self.output, ()), *operands[2:]], _CODES)
        if len(operands) == 3 and operands[2].dtype is not self.output:
            raise OpError(f"the zero point is {operands[2].dtype}, the codes are {self.output}")
        _expect_parameters(operands, self.axis, self.block)
        return (TensorType(self.output, operands[0].shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One division and one rounding an element, in the type of x."""
        x = inputs[0]
        scale, *zero = (spread(array, x.shape, self.axis, self.block) for array in inputs[1:])
        limits = np.iinfo(str(self.output.numpy))
        offset = zero[0].astype(np.int64) if zero else np.int64(0)
        with np.errstate(over="ignore"):
            rounded = np.rint(x / scale.astype(x.dtype))
        bounded = np.clip(rounded, -(1 << 24), 1 << 24)
        codes = np.where(np.isnan(rounded), -(1 << 24), bounded).astype(np.int64) + offset
        return (np.clip(codes, limits.min, limits.max).astype(self.output.numpy),)


@op("dequantize_linear", Stage.FLOAT)
class DequantizeLinear(Op):
    """Real values ``(x - z) * s`` of codes x. Operands: x, s[, z], as for quantization.

    Codes may also be int32, without zero point.
    """

    axis: int = 0
    block: int = 0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Floats of the type of s in the shape of x."""
        expect_count(operands, 2, 3)
        _expect_codes([operands[0], *operands[2:]], (*_CODES, DType.I32))
        _expect_scales(operands[1:2])
        if len(operands) == 3 and operands[2].dtype is not operands[0].dtype:
            raise OpError(f"the zero point is {operands[2].dtype}, the codes {operands[0].dtype}")
        _expect_parameters(operands, self.axis, self.block)
        return (TensorType(operands[1].dtype, operands[0].shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One product an element, in float32."""
        x = inputs[0]
        scale, *zero = (spread(array, x.shape, self.axis, self.block) for array in inputs[1:])
        centred = x.astype(np.int64) - (zero[0].astype(np.int64) if zero else 0)
        real = centred.astype(np.float32) * scale.astype(np.float32)
        return (real.astype(scale.dtype),)


def requantize(acc: Array, scale: NDArray[np.float32], zero: Array) -> Array:
    """Codes of the type of `zero` for accumulators."""
    limits = np.iinfo(zero.dtype)
    offset = int(zero)
    scaled = np.rint(acc.astype(np.float32) * scale)
    bounded = np.clip(scaled, limits.min - offset, limits.max - offset)
    return np.asarray(bounded + np.float32(offset), zero.dtype)


def integer_product(a: Array, a_zero: Array, b: Array, b_zero: Array) -> NDArray[np.int32]:
    """Accumulators of a matrix product."""
    left = a.astype(np.float64) - rows(a_zero)
    right = b.astype(np.float64) - columns(b_zero)
    return np.asarray(np.matmul(left, right)).astype(np.int32)


def product_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a matrix product with broadcasting leading axes; raises `OpError`."""
    left, right = ((1, *a) if len(a) == 1 else a), ((*b, 1) if len(b) == 1 else b)
    if not a or not b or left[-1] != right[-2]:
        raise OpError(f"inner extents differ: {list(a)} and {list(b)}")
    try:
        outer = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError as error:
        raise OpError(f"leading axes of {list(a)} and {list(b)} do not broadcast") from error
    rows = left[-2:-1] if len(a) > 1 else ()
    columns = right[-1:] if len(b) > 1 else ()
    return (*outer, *rows, *columns)


def rows(parameter: Array) -> Array:
    """A parameter of the left operand: a vector has one element a row."""
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter[:, None] if parameter.ndim == 1 else parameter


def columns(parameter: Array) -> Array:
    """A parameter of the right operand: a vector has one element a column."""
    return parameter.reshape(()) if parameter.size == 1 else parameter


def _product_scale(a: Array, b: Array, y: Array) -> NDArray[np.float32]:
    product = a.astype(np.float32) * b.astype(np.float32)
    return np.asarray(product / y.astype(np.float32), np.float32)


def _expect_codes(operands: Sequence[TensorType], allowed: tuple[DType, ...]) -> None:
    for type_ in operands:
        if type_.dtype not in allowed:
            raise OpError(f"codes are {type_.dtype}, allowed are {', '.join(allowed)}")


def _expect_scales(operands: Sequence[TensorType]) -> None:
    for type_ in operands:
        if type_.dtype not in (DType.F32, DType.F16):
            raise OpError(f"a real operand is {type_.dtype}, allowed are f32 and f16")


def _expect_parameters(operands: Sequence[TensorType], axis: int, block: int) -> None:
    """Scales and zero points fit x: one, one an index, or one a block."""
    x, scale = operands[:2]
    if any(type_.shape != scale.shape for type_ in operands[2:]):
        raise OpError(f"scale {list(scale.shape)} and zero point differ in shape")
    if prod(scale.shape) == 1 and scale.rank <= 1:
        return
    if not 0 <= axis < x.rank:
        raise OpError(f"axis is {axis}, allowed are 0 to {x.rank - 1}")
    needed: tuple[int, ...] = (x.shape[axis],)
    if block:
        needed = (*x.shape[:axis], -(-x.shape[axis] // block), *x.shape[axis + 1 :])
    if scale.shape != needed:
        raise OpError(f"scale has shape {list(scale.shape)}, needed is {list(needed)}")


def spread(parameter: Array, shape: tuple[int, ...], axis: int, block: int) -> Array:
    """A scale or zero point of QuantizeLinear, shaped to broadcast against x of this shape."""
    if parameter.size == 1:
        return parameter.reshape(())
    if not block:
        return parameter.reshape(tuple(-1 if a == axis else 1 for a in range(len(shape))))
    repeated = np.repeat(parameter, block, axis=axis)
    return repeated[(slice(None),) * axis + (slice(0, shape[axis]),)]
