"""Integer and float32 arithmetic between codes, reals and accumulators.

A code c stands for the real value ``(c - zero_point) * scale``. An accumulator counts in units
of a product of scales; requantization turns it into a code of the output:

    FLOAT24   ``clip(rint(f32(acc) * s) + zero_point)`` in float32, half to even, as onnxruntime
              does; `s` is a float32
    FIXED     ``clip(rne(acc * m * 2^-shift) + zero_point)``, one rounding, half to even, where m
              has `multiplier_bits` bits (`fixed_multiplier`)

The *biased* form adds the zero point before the last rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imcc.isa.target import RequantMode

from .op import Array, OpError
from .types import DType, QuantParams, TensorType

MANTISSA_BITS = 24
MAX_SHIFT = 62

_CODE_TYPES = {
    (8, False): DType.U8,
    (8, True): DType.I8,
    (16, False): DType.U16,
    (16, True): DType.I16,
}


def code_type(params: QuantParams) -> DType:
    """The element type that holds codes of these parameters: 8 or 16 bits wide."""
    return _CODE_TYPES[8 if params.bits <= 8 else 16, params.signed]


def quantize(values: ArrayLike, params: QuantParams) -> Array:
    """Codes of float32 `values`: divide, clip, round half to even, add the zero point.

    NaN becomes the smallest code, as in onnxruntime on x86.
    """
    reals = np.asarray(values, np.float32)
    scale, zero = params.scales(reals.ndim), params.zero_points(reals.ndim)
    low = np.asarray(params.low - zero, np.float32)
    high = np.asarray(params.high - zero, np.float32)
    with np.errstate(over="ignore"):
        scaled = reals / scale
    scaled = np.where(np.isnan(scaled), low, np.clip(scaled, low, high))
    return np.asarray(np.rint(scaled) + zero, code_type(params).numpy)


def dequantize(codes: Array, params: QuantParams) -> NDArray[np.float32]:
    """Real values of codes, in float32."""
    centred = codes.astype(np.int32) - params.zero_points(codes.ndim)
    return np.asarray(centred.astype(np.float32) * params.scales(codes.ndim))


@dataclass(frozen=True)
class Requant:
    """The output stage: parameters of the codes, clip bounds (codes) and datapath.

    `low` and `high` carry fused activations: Relu is ``low = zero_point``. `multiplier_bits`
    counts in mode FIXED only.
    """

    output: QuantParams
    low: int
    high: int
    mode: RequantMode = RequantMode.FLOAT24
    multiplier_bits: int = MANTISSA_BITS

    def __post_init__(self) -> None:
        if not self.output.low <= self.low <= self.high <= self.output.high:
            raise OpError(
                f"clip codes {self.low}..{self.high} must be ordered and inside "
                f"{self.output.low}..{self.output.high}"
            )
        if not 8 <= self.multiplier_bits <= MANTISSA_BITS:
            raise OpError(f"multiplier_bits is {self.multiplier_bits}; it must be in 8..24")

    @property
    def scale(self) -> np.float32:
        """The scale of the output."""
        return np.float32(self.output.scale[0])

    @property
    def zero_point(self) -> int:
        """The zero point of the output."""
        return self.output.zero_point[0]

    @property
    def is_float24(self) -> bool:
        """Whether the datapath is that of onnxruntime."""
        return self.mode is RequantMode.FLOAT24

    def type(self, shape: tuple[int, ...]) -> TensorType:
        """Type of a tensor of output codes."""
        return TensorType(code_type(self.output), shape, self.output)

    def apply(self, acc: Array, scale: Array, biased: bool = False) -> Array:
        """Codes of accumulators `acc` (whole numbers below 2^31, of any type).

        `scale` (float32) broadcasts against `acc`.
        """
        if not self.is_float24:
            return self._fixed(acc, scale)
        scaled = acc.astype(np.float32) * scale
        if biased:
            return self.clip(np.rint(scaled + np.float32(self.zero_point)))
        return self.clip(np.rint(scaled, out=scaled), self.zero_point)

    def _fixed(self, acc: Array, scale: Array) -> Array:
        mantissa, shift = fixed_multipliers(scale, self.multiplier_bits)
        return self.clip(rounded_shift(acc.astype(np.int64) * mantissa, shift), self.zero_point)

    def clip(self, rounded: Array, zero_point: int = 0) -> Array:
        """Codes of whole numbers: adds `zero_point` and clips to `low..high`."""
        bounded = np.clip(rounded, self.low - zero_point, self.high - zero_point)
        return (bounded + zero_point).astype(code_type(self.output).numpy)


def full_range(output: QuantParams, mode: RequantMode = RequantMode.FLOAT24) -> Requant:
    """An output stage without a fused activation."""
    return Requant(output, output.low, output.high, mode)


def fixed_multiplier(scale: float, bits: int) -> tuple[int, int]:
    """Mantissa and shift with ``mantissa * 2^-shift ~ scale``, the mantissa of `bits` bits.

    The mantissa has the sign of the scale. The shift is in 0..62. Scales too large for it saturate
    every output and so does the largest mantissa; scales too small for it get fewer bits, and every
    output is the zero point.
    """
    if scale < 0:
        mantissa, shift = fixed_multiplier(-scale, bits)
        return -mantissa, shift
    fraction, exponent = math.frexp(scale)
    shift = bits - exponent
    mantissa = round(math.ldexp(fraction, bits))
    if mantissa == 1 << bits:
        mantissa, shift = mantissa >> 1, shift - 1
    if shift < 0:
        return (1 << bits) - 1, 0
    if shift > MAX_SHIFT:
        return round(math.ldexp(scale, MAX_SHIFT)), MAX_SHIFT
    return mantissa, shift


def fixed_multipliers(scale: Array, bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`fixed_multiplier` of every element, in the shape of `scale`."""
    pairs = [fixed_multiplier(float(s), bits) for s in np.ravel(scale)]
    both = np.array(pairs, np.int64).reshape(*np.shape(scale), 2)
    return both[..., 0], both[..., 1]


def fixed_sum(
    ratios: tuple[float, float], zeros: tuple[int, int, int], bits: int
) -> tuple[int, int, int, int]:
    """Integers ma, mb, mc and shift of ``(a * ma + b * mb + mc) * 2^-shift``.

    `ratios` are sa/sc and sb/sc, `zeros` the zero points of a, b and the output. ma and mb have
    at most `bits` bits, mc at most 24; ``mc = zc * 2^shift - za * ma - zb * mb`` exactly.
    """
    za, zb, zc = zeros
    for shift in range(MAX_SHIFT, -1, -1):
        ma, mb = (round(math.ldexp(ratio, shift)) for ratio in ratios)
        mc = (zc << shift) - za * ma - zb * mb
        if max(ma, mb) < 1 << bits and abs(mc) < 1 << MANTISSA_BITS:
            return ma, mb, mc, shift
    raise OpError(
        f"the input scales are {ratios[0]:g} and {ratios[1]:g} times the output scale; "
        f"a sum with {bits}-bit multipliers takes at most {1 << (MANTISSA_BITS - 9)}"
    )


def rounded_shift(values: NDArray[np.int64], shift: Array | int) -> NDArray[np.int64]:
    """``values * 2^-shift`` rounded half to even; `shift` in 0..62."""
    floor = values >> shift
    rest = values - (floor << shift)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 1)
    up = (rest > half) | ((rest == half) & ((floor & 1) == 1))
    return np.asarray(floor + up, np.int64)


def fma32(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> NDArray[np.float32]:
    """Fused multiply-add of float32 values: ``a * b + c`` rounded once.

    The product is exact in float64. The sum is rounded to odd there, so that the second
    rounding to float32 equals a single one.
    """
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    addend = np.asarray(c, np.float64)
    total = product + addend
    virtual = total - product
    error = (product - (total - virtual)) + (addend - virtual)
    toward = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    even = (total.view(np.int64) & 1) == 0
    return np.where((error != 0) & even, toward, total).astype(np.float32)
