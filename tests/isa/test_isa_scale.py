from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.isa import (
    EncodingError,
    decode_scale,
    encode_fixed,
    encode_scale,
    encode_scales,
    fixed_shift,
)

MAGNITUDES = st.floats(2.0**-104, 2.0**23, width=32)


@given(st.lists(st.tuples(MAGNITUDES, st.sampled_from([-1, 1])), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_float32_values_are_exact(pairs: list[tuple[float, int]]) -> None:
    values = np.array([magnitude * sign for magnitude, sign in pairs])
    assert np.array_equal(decode_scale(encode_scales(values)), values)


@given(MAGNITUDES)
@settings(max_examples=60, deadline=None)
def test_the_word_is_that_of_the_reference(value: float) -> None:
    # docs of the 24-bit algorithm: scale == m * 2^-sh with m in [2^23, 2^24), from frexp
    fraction, exponent = np.frexp(np.float32(value))
    word = encode_scale(value)
    assert word & 0xFFFFFF == int(fraction * 2**24)
    assert word >> 24 == 24 - int(exponent)


def test_known_words() -> None:
    assert encode_scale(0.0) == 0
    assert encode_scale(1.0) == 23 << 24 | 1 << 23
    assert encode_scale(-1.0) == 1 << 31 | 23 << 24 | 1 << 23
    assert encode_scale(1 - 2.0**-30) == encode_scale(1.0)
    assert decode_scale(np.array([127 << 24 | 1], np.uint32)).tolist() == [2.0**-127]


@pytest.mark.parametrize("value", [2.0**24, 2.0**-105, float("nan"), float("inf"), -(2.0**30)])
def test_values_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(EncodingError, match=r"out of range|not a finite number"):
        encode_scale(value)


@given(st.floats(2.0**-60, 2.0**7), st.integers(8, 24))
@settings(max_examples=60, deadline=None)
def test_fixed_words_are_the_nearest_with_the_largest_shift(value: float, bits: int) -> None:
    shift = int(fixed_shift([value], bits)[0])
    word = int(encode_fixed([value], bits, shift)[0])
    mantissa = word & 0xFFFFFF
    assert word >> 24 == shift
    assert mantissa < 1 << bits
    assert abs(Fraction(value) * 2**shift - mantissa) <= Fraction(1, 2)
    if shift < 127:
        assert round(Fraction(value) * 2 ** (shift + 1)) >= 1 << bits


def test_a_shared_shift_that_is_too_large_is_refused() -> None:
    values = [0.75, 0.001]
    common = int(fixed_shift(values, 16).min())
    words = encode_fixed(values, 16, common)
    assert (words >> 24).tolist() == [common, common]
    with pytest.raises(EncodingError, match="needs a mantissa of more than 16 bits"):
        encode_fixed(values, 16, common + 1)
    with pytest.raises(EncodingError, match=r"are not in 0\.\.127"):
        encode_fixed(values, 16, 128)
