"""The arithmetic of the output stage, of softmax, of normalisation and of division.

Values are int64 arrays. A scaled value is ``v * 2^-shift`` with integers `v` and `shift`; only
`normalize` uses floating point for a result, and says where. Formulas: the docstrings of
`imcc.isa.instructions`; the 24-bit algorithm equals float32 arithmetic with rounding to nearest
even.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import Rounding
from imcc.isa.walk import OutputStage

Integers = NDArray[np.int64]

SIGNIFICANT_BITS = 24
# Behind 40 fraction bits a nonzero 24-bit value is below 2^-16: only whether it is there counts.
_FRACTION_BITS = 40
# Every shifted value is below 2^61 in magnitude, so a larger shift gives the same result.
_LARGEST_SHIFT = 62
_EXACT_BITS = 61
_LARGEST_WORD = (1 << 64) - 1
NORMAL_UNIT = float(1 << 16)
QUOTIENT_BITS = 16
LARGEST_QUOTIENT, SMALLEST_QUOTIENT = (1 << 31) - 1, -(1 << 31)


def split_scale(words: NDArray[np.integer]) -> tuple[Integers, Integers]:
    """Return signed mantissas and shifts of scale words: the value is mantissa * 2^-shift."""
    raw = words.astype(np.int64) & 0xFFFFFFFF
    mantissa = raw & 0xFFFFFF
    return np.where(raw >> 31, -mantissa, mantissa), (raw >> 24) & 0x7F


def signed_words(words: NDArray[np.integer]) -> Integers:
    """Return the values of 32-bit words in two's complement."""
    return words.astype(np.uint32).view(np.int32).astype(np.int64)


def rne(value: Integers, shift: Integers | int) -> Integers:
    """Return ``value * 2^-shift`` rounded to the nearest integer, ties to even."""
    shift = np.minimum(shift, _LARGEST_SHIFT)
    floor = value >> shift
    rest = (value - (floor << shift)) * 2
    one = np.int64(1) << shift
    return np.asarray(floor + ((rest > one) | ((rest == one) & (floor & 1 == 1))))


def half_up(value: Integers, shift: Integers | int) -> Integers:
    """Return ``floor(value * 2^-shift + 1/2)``."""
    shift = np.minimum(shift, _LARGEST_SHIFT)
    return (value + ((np.int64(1) << shift) >> 1)) >> shift


def rne24(value: Integers) -> Integers:
    """Return `value` rounded to 24 significant bits, ties to even (identity below 2^24)."""
    # float64 may round |value| up to a power of two: that moves the shift by one only where the
    # rounded result is that power of two with either shift.
    _, length = np.frexp(np.abs(value).astype(np.float64))
    shift = np.maximum(length.astype(np.int64) - SIGNIFICANT_BITS, 0)
    return np.asarray(rne(value, shift) << shift)


def requantize(accumulator: Integers, words: NDArray[np.integer], stage: OutputStage) -> Integers:
    """Return the codes of accumulators (bias included) under scale words.

    FLOAT24: ``clip(rne(rne24(rne24(a) * scale)) + zero_point)``; FLOAT24_BIASED adds the zero
    point before the last two roundings; FIXED modes round the exact product once.
    """
    mantissa, shift = split_scale(words)
    if stage.rounding in (Rounding.FLOAT24, Rounding.FLOAT24_BIASED):
        product = rne24(rne24(accumulator) * mantissa)
        return _finish(product, shift, stage)
    return _finish(accumulator * mantissa, shift, stage)


def add_codes(a: Integers, b: Integers, words: NDArray[np.integer], stage: OutputStage) -> Integers:
    """Return the codes of a sum; `words` are ra, rb, c.

    FLOAT24 modes: ``clip(rne(rne24(a * ra + rne24(b * rb + c))))``; FIXED modes:
    ``clip(round(a * ra + b * rb + c))`` with one rounding.
    """
    mantissas, shifts = (v.tolist() for v in split_scale(words.reshape(3)))
    grid = max((s for m, s in zip(mantissas, shifts, strict=True) if m), default=0)
    ra, rb, c = (m << max(grid - s, 0) for m, s in zip(mantissas, shifts, strict=True))
    largest = max(_magnitude(a), _magnitude(b), 1)
    if (abs(ra) + abs(rb) + abs(c)) * largest >= 1 << _EXACT_BITS:
        return _add_long(a, b, (ra, rb, c, grid), stage)
    if stage.rounding in (Rounding.FLOAT24, Rounding.FLOAT24_BIASED):
        total = rne(rne24(a * ra + rne24(b * rb + c)), grid)
    elif stage.rounding is Rounding.FIXED_HALF_EVEN:
        total = rne(a * ra + b * rb + c, grid)
    else:
        total = half_up(a * ra + b * rb + c, grid)
    return np.clip(total, stage.low, stage.high)


def multiply_codes(
    a: Integers, b: Integers, words: NDArray[np.integer], stage: OutputStage
) -> Integers:
    """Return the codes of a product; `words` are the scale word r, then za and zb.

    FLOAT24 modes: ``clip(rne(rne24(rne24((a - za) * (b - zb) * r) + zero_point)))``; FIXED
    modes: ``clip(round((a - za) * (b - zb) * r) + zero_point)``.
    """
    mantissa, shift = split_scale(words.reshape(3)[:1])
    za, zb = signed_words(words.reshape(3)[1:])
    product = (a - za) * (b - zb) * mantissa[0]
    if stage.rounding in (Rounding.FLOAT24, Rounding.FLOAT24_BIASED):
        return np.clip(
            _round_with_zero_point(rne24(product), shift[0], stage.zero_point),
            stage.low,
            stage.high,
        )
    return _finish(product, shift[0], stage)


def softmax(
    codes: Integers, table: NDArray[np.integer], steps: int, stage: OutputStage
) -> Integers:
    """Return the codes of a softmax along the last axis.

    ``clip(rne(e[max - x] * steps / S) + zero_point)``, S the exact sum of a row's e.
    """
    distance = codes.max(axis=-1, keepdims=True) - codes
    exponentials = table.astype(np.int64)[distance & 255]
    total = np.maximum(exponentials.sum(axis=-1, keepdims=True), 1)
    quotient, rest = np.divmod(exponentials * steps, total)
    up = (2 * rest > total) | ((2 * rest == total) & (quotient & 1 == 1))
    return np.asarray(np.clip(quotient + up + stage.zero_point, stage.low, stage.high))


def divide_codes(a: Integers, b: Integers, words: NDArray[np.integer]) -> Integers:
    """Return ``rne((a - za) * 2^16 / (b - zb))`` saturated to int32; `words` are za, zb.

    Divided by 0, a number gives the end of int32 on its side, and 0 gives 0.
    """
    za, zb = signed_words(words.reshape(2))
    dividend, divisor = (a - za) << QUOTIENT_BITS, b - zb
    divided = np.where(divisor == 0, 1, divisor)
    floor = dividend // divided
    rest = 2 * np.abs(dividend - floor * divided)
    size = np.abs(divided)
    quotient = floor + ((rest > size) | ((rest == size) & (floor & 1 == 1)))
    ends = np.array([SMALLEST_QUOTIENT, 0, LARGEST_QUOTIENT])[np.sign(dividend) + 1]
    bounded = np.clip(quotient, SMALLEST_QUOTIENT, LARGEST_QUOTIENT)
    return np.asarray(np.where(divisor == 0, ends, bounded), np.int64)


def normalize(codes: Integers, words: NDArray[np.integer], center: bool) -> Integers:
    """Return rows of K codes along the last axis, normalised, in units of 2^-16.

    `words` are z and the low and the high half of e. ``d = K * x - sum(x)`` if `center`, else
    ``d = K * (x - z)``; ``V = sum(d * d)``; ``rne(d * (2^16 / sqrt((V + e) / K)))``, each
    operation on d, V + e and K rounded as float64.
    """
    length = codes.shape[-1]
    (zero_point,) = signed_words(words.reshape(3)[:1])
    middle = codes.sum(axis=-1, keepdims=True) if center else length * zero_point
    distance = length * codes - middle
    squares = (distance * distance).sum(axis=-1, keepdims=True)
    factor = normal_factor(squares, word_pair(words.reshape(3)[1:]), length)
    scaled: NDArray[np.float64] = distance.astype(np.float64) * factor
    return np.rint(scaled).astype(np.int64)


def normal_factor(squares: Integers, epsilon: int, length: int) -> NDArray[np.float64]:
    """Return ``2^16 / sqrt((V + e) / K)`` in float64, 0 where V + e is 0; the sum saturates."""
    total = squares.astype(np.uint64) + np.uint64(epsilon)
    total = np.where(total < np.uint64(epsilon), np.uint64(_LARGEST_WORD), total)
    root = np.sqrt(total.astype(np.float64) / np.float64(length))
    return np.divide(NORMAL_UNIT, root, out=np.zeros_like(root), where=root > 0)


def word_pair(words: NDArray[np.integer]) -> int:
    """Return the 64-bit unsigned number of a low and a high word."""
    low, high = (int(word) & 0xFFFFFFFF for word in words)
    return high << 32 | low


def _finish(product: Integers, shift: Integers, stage: OutputStage) -> Integers:
    if stage.rounding is Rounding.FLOAT24_BIASED:
        rounded = _round_with_zero_point(product, shift, stage.zero_point)
    elif stage.rounding is Rounding.FIXED_HALF_UP:
        rounded = half_up(product, shift) + stage.zero_point
    else:
        rounded = rne(product, shift) + stage.zero_point
    return np.clip(rounded, stage.low, stage.high)


def _round_with_zero_point(value: Integers, shift: Integers, zero_point: int) -> Integers:
    """Return ``rne(rne24(value * 2^-shift + zero_point))`` for 24-bit values."""
    kept = np.minimum(shift, _FRACTION_BITS)
    reduced = _round_to_odd(value, shift - kept)
    return rne(rne24(reduced + (np.int64(zero_point) << kept)), kept)


def _round_to_odd(value: Integers, shift: Integers) -> Integers:
    """Return ``value * 2^-shift``, inexact values to the odd neighbour: safe to round again."""
    shift = np.minimum(shift, _LARGEST_SHIFT)
    floor = value >> shift
    return np.asarray(floor | ((floor << shift) != value))


def _magnitude(codes: Integers) -> int:
    return int(np.abs(codes).max(initial=0))


def _add_long(
    a: Integers, b: Integers, words: tuple[int, int, int, int], stage: OutputStage
) -> Integers:
    """`add_codes` in Python integers, for ratios so unlike that int64 does not hold the sum."""
    ra, rb, c, grid = words
    float24 = stage.rounding in (Rounding.FLOAT24, Rounding.FLOAT24_BIASED)

    def add(x: int, y: int) -> int:
        if float24:
            total = _rne_long(_rne24_long(x * ra + _rne24_long(y * rb + c)), grid)
        elif stage.rounding is Rounding.FIXED_HALF_EVEN:
            total = _rne_long(x * ra + y * rb + c, grid)
        else:
            total = (x * ra + y * rb + c + ((1 << grid) >> 1)) >> grid
        return min(max(total, stage.low), stage.high)

    summed = np.frompyfunc(add, 2, 1)(a.astype(object), b.astype(object))
    return np.asarray(summed).astype(np.int64)


def _rne_long(value: int, shift: int) -> int:
    floor = value >> shift
    rest, one = 2 * (value - (floor << shift)), 1 << shift
    return floor + int(rest > one or (rest == one and floor & 1))


def _rne24_long(value: int) -> int:
    shift = max(abs(value).bit_length() - SIGNIFICANT_BITS, 0)
    return _rne_long(value, shift) << shift
