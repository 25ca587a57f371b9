"""Scale words: sign in bit 31, shift in bits 24-30, mantissa in bits 0-23.

The value is ``(-1)^sign * mantissa * 2^-shift``. A float32 has 24 significant bits, so every
float32 with magnitude in [2^-104, 2^24) is represented exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import EncodingError

MANTISSA_BITS = 24
MAX_SHIFT = 127
_SIGN_BIT = 31


def encode_scale(value: float) -> int:
    """Give the scale word of `value`, rounded to 24 significant bits, ties to even."""
    return int(encode_scales([value])[0])


def encode_scales(values: ArrayLike) -> NDArray[np.uint32]:
    """Scale words with normalised mantissas (leading bit set); zero is the word 0.

    Raises `EncodingError` for values that are not finite or outside [2^-104, 2^24).
    """
    exact = _finite(values)
    fraction, exponent = np.frexp(np.abs(exact))
    mantissa = np.rint(np.ldexp(fraction, MANTISSA_BITS))
    carried = mantissa == 1 << MANTISSA_BITS
    mantissa = np.where(carried, mantissa / 2, mantissa)
    shift = np.where(exact == 0, 0, MANTISSA_BITS - exponent - carried)
    wrong = (shift < 0) | (shift > MAX_SHIFT)
    if wrong.any():
        raise EncodingError(
            f"scale {float(exact[wrong][0])!r} is out of range: a scale word holds 0 and "
            f"magnitudes from 2^{MANTISSA_BITS - 1 - MAX_SHIFT} to below 2^{MANTISSA_BITS}"
        )
    return _words(exact < 0, mantissa, shift)


def fixed_shift(values: ArrayLike, multiplier_bits: int) -> NDArray[np.int64]:
    """Give for each value the largest shift whose mantissa fits `multiplier_bits` bits."""
    exact = np.abs(_finite(values))
    exponent = np.frexp(exact)[1].astype(np.int64)
    shift = multiplier_bits - exponent
    overflows = np.rint(np.ldexp(exact, shift)) >= 2.0**multiplier_bits
    clipped = np.clip(shift - overflows, 0, MAX_SHIFT)
    return np.where(exact == 0, MAX_SHIFT, clipped).astype(np.int64)


def encode_fixed(
    values: ArrayLike, multiplier_bits: int, shift: int | NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Scale words for a fixed-point datapath: mantissa ``rne(|value| * 2^shift)``.

    Raises `EncodingError` where a mantissa needs more than `multiplier_bits` bits (at most 24)
    or the shift is not in 0..127.
    """
    exact = _finite(values)
    shifts = np.broadcast_to(np.asarray(shift, dtype=np.int64), exact.shape)
    if ((shifts < 0) | (shifts > MAX_SHIFT)).any():
        raise EncodingError(f"shifts {shifts.min()}..{shifts.max()} are not in 0..{MAX_SHIFT}")
    mantissa = np.rint(np.ldexp(np.abs(exact), shifts))
    wrong = mantissa >= 2.0 ** min(multiplier_bits, MANTISSA_BITS)
    if wrong.any():
        raise EncodingError(
            f"scale {float(exact[wrong][0])!r} with shift {shifts[wrong][0]} needs a mantissa of "
            f"more than {multiplier_bits} bits; use a smaller shift"
        )
    return _words(exact < 0, mantissa, shifts)


def decode_scale(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Give the exact values of scale words."""
    words = np.asarray(words, dtype=np.uint32)
    mantissa = (words & np.uint32((1 << MANTISSA_BITS) - 1)).astype(np.float64)
    shift = ((words >> np.uint32(MANTISSA_BITS)) & np.uint32(MAX_SHIFT)).astype(np.int64)
    sign = np.where(words >> np.uint32(_SIGN_BIT), -1.0, 1.0)
    return np.asarray(sign * np.ldexp(mantissa, -shift))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    exact = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if not np.isfinite(exact).all():
        raise EncodingError(
            f"scale {float(exact[~np.isfinite(exact)][0])!r} is not a finite number"
        )
    return exact


def _words(
    negative: NDArray[np.bool_], mantissa: NDArray[np.float64], shift: NDArray[np.int64]
) -> NDArray[np.uint32]:
    signs = negative.astype(np.uint32) << np.uint32(_SIGN_BIT)
    shifts = shift.astype(np.uint32) << np.uint32(MANTISSA_BITS)
    return np.asarray(mantissa.astype(np.uint32) | shifts | signs, dtype=np.uint32)
