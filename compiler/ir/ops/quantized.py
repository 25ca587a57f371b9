"""Operators on codes: matrix products, sums and products of tensors, tables, softmax.

Activations are unsigned codes with one scale and zero point a tensor, weights signed codes with
one scale an output channel and zero points 0, biases int32 in units of ``f32(sx * sw)``. Sums,
products of tensors and tables take signed codes as well: where the zero point enters a float32
sum, codes shifted by 128 would round to other results. The formulas are those of onnxruntime's
QLinear kernels where these are integer arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, OpError, Stage, op
from ..requant import (
    Requant,
    code_type,
    dequantize,
    fixed_sum,
    fma32,
    full_range,
    quantize,
    rounded_shift,
)
from ..types import DType, QuantParams, TensorType
from . import exact_product
from .codes import activation, all_codes, byte_codes
from .quantized_pooling import QAveragePool, QGlobalAveragePool
from .windows import Windows

__all__ = [
    "QAdd",
    "QAveragePool",
    "QConcat",
    "QConv",
    "QGlobalAveragePool",
    "QMatMul",
    "QMul",
    "QSoftmax",
    "QUnary",
]

_STAGES = Stage.QUANTIZED | Stage.TILED
_CODES = 256
_SOFTMAX_BITS = 24
# Weights of 8 bits less their zero point have 9.
_WEIGHT_BITS = {DType.I8: 8, DType.I16: 9}


def check_product(types: Sequence[TensorType], axis: int) -> None:
    """Operands x, w, bias of a product whose output channels are `axis` of w."""
    if len(types) != 3:
        raise OpError(f"{len(types)} operands; a quantized product takes x, w and bias")
    activation(types[0], "operand x")
    weights, bias = types[1:]
    quant = weights.quant
    if quant is None or any(quant.zero_point) or not quant.signed:
        raise OpError(f"operand w is {weights.dtype}; it must be signed codes with zero points 0")
    if quant.bits > _WEIGHT_BITS.get(weights.dtype, 0):
        raise OpError(f"operand w has {quant.bits} bits in {weights.dtype}; at most 9 are held")
    channels = weights.shape[axis]
    if quant.axis not in (None, axis) or len(quant.scale) not in (1, channels):
        raise OpError(f"operand w has scales along axis {quant.axis}; they must be along {axis}")
    if bias.dtype is not DType.I32 or bias.shape != (channels,):
        raise OpError(f"operand bias is {bias.dtype} {bias.shape}; it must be i32 ({channels},)")


def _product_scale(
    types: Sequence[TensorType], requant: Requant, axis: int, shift: int
) -> NDArray[np.float32]:
    """``f32(f32(sx * sw) / sy) * 2^-shift`` of each output channel."""
    x, weights = activation(types[0]), types[1]
    assert weights.quant is not None
    product = np.float32(x.scale[0]) * np.asarray(weights.quant.scale, np.float32)
    scale = np.ldexp(product / requant.scale, -shift)
    return np.broadcast_to(scale, (weights.shape[axis],))


@op("qconv", _STAGES)
class QConv(Op):
    """Convolution ``requantize(2^shift * sum (x - zx) * w + bias)``; x is padded with zx.

    Operands: x ``[1, C, *spatial]``, w ``[O, C / group, *kernel]``, bias ``[O]`` in units of
    ``f32(sx * sw) * 2^-shift``.
    """

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    group: int
    requant: Requant
    shift: int = 0

    def windows(self, weights: TensorType, spatial: Sequence[int]) -> Windows:
        """The windows of a kernel of this type over an input of these spatial extents."""
        return Windows(weights.shape[2:], self.strides, self.pads, self.dilations)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes ``[1, O, *positions]``."""
        check_product(operands, axis=0)
        x, weights, _ = operands
        if x.rank != weights.rank or len(self.strides) != x.rank - 2:
            raise OpError(
                f"x {x.shape}, w {weights.shape} and strides {self.strides} differ in rank"
            )
        if weights.shape[1] * self.group != x.shape[1] or weights.shape[0] % self.group:
            raise OpError(
                f"w is {weights.shape} with group {self.group}, but x has {x.shape[1]} channels"
            )
        positions = self.windows(weights, x.shape[2:]).output(x.shape[2:])
        return (self.requant.type((x.shape[0], weights.shape[0], *positions)),)

    def accumulator_scale(self, types: Sequence[TensorType]) -> NDArray[np.float32]:
        """Scale from accumulator to output codes of each output channel."""
        return _product_scale(types, self.requant, 0, self.shift)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact accumulators, then the output stage."""
        x, weights, bias = inputs
        windows = self.windows(types[1], types[0].shape[2:])
        params = activation(types[0])
        acc = exact_product.convolve(x, params, weights, bias, windows, self.group, self.shift)
        return (self.in_place(self.requantize(acc, types), types),)

    def in_place(self, codes: Array, types: Sequence[TensorType]) -> Array:
        """The result of codes as the windows of the weights give them."""
        return codes

    def requantize(self, acc: Array, types: Sequence[TensorType]) -> Array:
        """The output stage for accumulators ``[B, O, *positions]``, bias included."""
        scale = self.accumulator_scale(types).reshape(-1, *(1 for _ in self.strides))
        return self.requant.apply(acc, scale)


@op("qmatmul", _STAGES)
class QMatMul(Op):
    """Matrix product ``requantize(2^shift * (x - zx) @ w + bias)``.

    Operands: x ``[..., K]``, w ``[K, N]``, bias ``[N]`` in units of ``f32(sx * sw) * 2^-shift``.
    """

    requant: Requant
    shift: int = 0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes ``[..., N]``."""
        check_product(operands, axis=1)
        x, weights, _ = operands
        if weights.rank != 2 or not x.shape or x.shape[-1] != weights.shape[0]:
            raise OpError(f"x {x.shape} and w {weights.shape} cannot be multiplied")
        return (self.requant.type((*x.shape[:-1], weights.shape[1])),)

    def accumulator_scale(self, types: Sequence[TensorType]) -> NDArray[np.float32]:
        """Scale from accumulator to output codes of each output channel."""
        return _product_scale(types, self.requant, 1, self.shift)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact accumulators, then the output stage."""
        x, weights, bias = inputs
        acc = exact_product.matmul(x, activation(types[0]), weights, bias, self.shift)
        return (self.requantize(acc, types),)

    def requantize(self, acc: Array, types: Sequence[TensorType]) -> Array:
        """The output stage for accumulators ``[..., N]``, bias included."""
        return self.requant.apply(acc, self.accumulator_scale(types))


def infer_pair(operands: Sequence[TensorType], requant: Requant) -> tuple[TensorType, ...]:
    """Output codes of the broadcast shape of two tensors of codes; raises `OpError`."""
    a, b = operands
    byte_codes(a, "operand a")
    byte_codes(b, "operand b")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise OpError(f"shapes {a.shape} and {b.shape} do not broadcast") from error
    return (requant.type(shape),)


def _look_up_pairs(table: Array, a: Array, b: Array) -> Array:
    """``table[a, b]`` with broadcasting, for a table of all pairs of bytes."""
    high = a.view(np.uint8).astype(np.uint16) << 8
    return np.asarray(table.reshape(-1).take(high | b.view(np.uint8)))


@op("qadd", _STAGES)
class QAdd(Op):
    """Sum of two tensors of codes of different scales.

    FLOAT24 (float32, fused multiply-adds): ``clip(rint(fma(a, ra, fma(b, rb, c))))`` with the
    zero points inside c. FIXED: ``clip(rne((a * ma + b * mb + mc) * 2^-shift))``.
    """

    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the broadcast shape."""
        return infer_pair(operands, self.requant)

    def parameters(self, types: Sequence[TensorType]) -> tuple[np.float32, np.float32, np.float32]:
        """Float32 ``ra = sa / sc``, ``rb = sb / sc`` and ``c = zc - fma(ra, za, rb * zb)``."""
        a, b = byte_codes(types[0]), byte_codes(types[1])
        ra = np.float32(a.scale[0]) / self.requant.scale
        rb = np.float32(b.scale[0]) / self.requant.scale
        za, zb = np.float32(a.zero_point[0]), np.float32(b.zero_point[0])
        offset = fma32(ra, za, np.float32(rb * zb))
        return ra, rb, np.float32(np.float32(self.requant.zero_point) - offset)

    def fixed_parameters(self, types: Sequence[TensorType]) -> tuple[int, int, int, int]:
        """Integers ma, mb, mc and their common shift, for mode FIXED."""
        a, b = byte_codes(types[0]), byte_codes(types[1])
        sc = float(self.requant.scale)
        zeros = (a.zero_point[0], b.zero_point[0], self.requant.zero_point)
        ratios = (a.scale[0] / sc, b.scale[0] / sc)
        return fixed_sum(ratios, zeros, self.requant.multiplier_bits)

    def table(self, types: Sequence[TensorType]) -> Array:
        """Codes of the sum for all pairs of bytes, ``[256, 256]``."""
        a, b = (all_codes(byte_codes(type_)).astype(np.int64) for type_ in types)
        a = a[:, None]
        if not self.requant.is_float24:
            ma, mb, mc, shift = self.fixed_parameters(types)
            return self.requant.clip(rounded_shift(a * ma + b * mb + mc, shift))
        ra, rb, c = self.parameters(types)
        return self.requant.clip(np.rint(fma32(a, ra, fma32(b, rb, c))))

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Looks each pair of codes up."""
        return (_look_up_pairs(self.table(types), *inputs),)


@op("qmul", _STAGES)
class QMul(Op):
    """Product of two tensors of codes.

    FLOAT24: ``clip(rint((a - za) * (b - zb) * r + zc))`` in float32: the zero point comes before
    the rounding. FIXED: one rounding of the product, then the zero point.
    """

    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the broadcast shape."""
        return infer_pair(operands, self.requant)

    def parameters(self, types: Sequence[TensorType]) -> tuple[np.float32, int, int]:
        """Float32 ``r = f32(sa * sb) / sc`` and the zero points of a and b."""
        a, b = byte_codes(types[0]), byte_codes(types[1])
        ratio = np.float32(a.scale[0]) * np.float32(b.scale[0]) / self.requant.scale
        return np.float32(ratio), a.zero_point[0], b.zero_point[0]

    def table(self, types: Sequence[TensorType]) -> Array:
        """Codes of the product for all pairs of bytes, ``[256, 256]``."""
        ratio, za, zb = self.parameters(types)
        a, b = (all_codes(byte_codes(type_)).astype(np.int64) for type_ in types)
        product = (a - za)[:, None] * (b - zb)
        return self.requant.apply(product, np.asarray(ratio), biased=True)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Looks each pair of codes up."""
        return (_look_up_pairs(self.table(types), *inputs),)


def _all_reals(params: QuantParams) -> NDArray[np.float32]:
    """The real values of all 256 codes, in the order of their bytes."""
    return dequantize(all_codes(params), params)


@op("qunary", _STAGES)
class QUnary(Op):
    """An element-wise function as a table: ``quantize(function(dequantize(x)))``."""

    function: Op
    output: QuantParams

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of the operand."""
        (x,) = operands
        byte_codes(x)
        return (TensorType(code_type(self.output), x.shape, self.output),)

    def table(self, input: QuantParams) -> Array:
        """The 256 output codes, by the byte of the input code."""
        reals = _all_reals(input).reshape(1, _CODES)
        (mapped,) = self.function.evaluate([reals], [TensorType(DType.F32, reals.shape)])
        return np.asarray(quantize(mapped.reshape(-1), self.output))

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One look-up an element."""
        return (self.table(byte_codes(types[0])).take(inputs[0].view(np.uint8)),)


@op("qconcat", _STAGES)
class QConcat(Op):
    """Concatenation; operands whose parameters are not those of the output are requantized."""

    axis: int
    output: QuantParams

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes whose extent along the axis is the sum of the operands' extents."""
        shapes = [list(x.shape) for x in operands]
        for x in operands:
            activation(x)
        extent = sum(shape[self.axis] for shape in shapes)
        joined = [[*s[: self.axis], extent, *s[self.axis + 1 :]] for s in shapes]
        if not 0 < self.axis < len(shapes[0]) or any(shape != joined[0] for shape in joined):
            raise OpError(f"shapes {shapes} cannot be joined along axis {self.axis}")
        return (TensorType(code_type(self.output), tuple(joined[0]), self.output),)

    def tables(self, types: Sequence[TensorType]) -> tuple[NDArray[np.uint8] | None, ...]:
        """For each operand its table of 256 codes, or None where codes are copied."""
        params = [activation(x) for x in types]
        return tuple(
            None if _same_codes(p, self.output) else quantize(_all_reals(p), self.output)
            for p in params
        )

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Looks the codes of each operand up, then joins; constants count for every sample."""
        batch = max(len(x) for x in inputs)
        whole = [np.broadcast_to(x, (batch, *x.shape[1:])) for x in inputs]
        parts = [
            x if table is None else table.take(x)
            for x, table in zip(whole, self.tables(types), strict=True)
        ]
        return (np.concatenate(parts, axis=self.axis),)


def _same_codes(a: QuantParams, b: QuantParams) -> bool:
    return (a.scale, a.zero_point) == (b.scale, b.zero_point) and a.bits <= b.bits


@op("qsoftmax", _STAGES)
class QSoftmax(Op):
    """Softmax in integers: ``clip(rne(e[max - x] * steps / S) + zero_point)``.

    ``e[d] = rint(2^24 * exp(-d * sx))``; S is the exact sum of e along the axis. onnxruntime's
    float sum differs by one step in 1e-6 of the codes.
    """

    axis: int
    output: QuantParams

    @property
    def requant(self) -> Requant:
        """The output stage, without a fused activation."""
        return full_range(self.output)

    @property
    def steps(self) -> int:
        """Codes of the real value 1: ``floor(1 / sy)`` of the float32 quotient."""
        return math.floor(np.float32(1) / np.float32(self.output.scale[0]))

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of the operand."""
        (x,) = operands
        activation(x)
        if not 0 < self.axis < x.rank:
            raise OpError(f"axis is {self.axis}; it must be in 1..{x.rank - 1}")
        return (TensorType(code_type(self.output), x.shape, self.output),)

    def table(self, input: QuantParams) -> NDArray[np.uint32]:
        """Exponentials by the distance of a code from the largest of its row."""
        distances = np.arange(_CODES) * float(np.float32(input.scale[0]))
        return np.asarray(np.rint(np.exp(-distances) * 2.0**_SOFTMAX_BITS), np.uint32)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact sums and one rounded division."""
        (x,) = inputs
        table = self.table(activation(types[0])).astype(np.int64)
        values = table.take(x.max(axis=self.axis, keepdims=True) - x)
        total = values.sum(axis=self.axis, keepdims=True)
        quotient, rest = np.divmod(values * self.steps, total)
        up = (2 * rest > total) | ((2 * rest == total) & (quotient % 2 == 1))
        return (self.requant.clip(quotient + up, self.output.zero_point[0]),)
