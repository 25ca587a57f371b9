"""Prepared products equal the literal one, and the plain product where nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from support.random_matrices import effective_weights, random_matrix

from imcc.isa import Adc
from imcc.runtime.crossbar import literal_product
from imcc.runtime.products import ExactProduct, prepare
from imcc.runtime.scratch import Scratch

seeds = st.integers(0, 1 << 32)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_prepared_equals_literal(seed: int) -> None:
    matrix, crossbars = random_matrix(seed)
    x = np.random.default_rng(seed).integers(0, 256, (7, matrix.rows)).astype(np.uint8)
    expected = literal_product(matrix, crossbars, x.astype(np.int64))
    product = prepare(matrix, crossbars)
    np.testing.assert_array_equal(product.multiply(x, Scratch()), expected)
    assert np.abs(expected).max() <= product.bound


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_exact_converters_give_the_plain_product(seed: int) -> None:
    matrix, crossbars = random_matrix(seed)
    matrix = replace(matrix, adcs=(Adc(0, 0, 1),) * len(matrix.slices))
    x = np.random.default_rng(seed).integers(0, 1 << matrix.input_bits, (5, matrix.rows))
    plain = x @ effective_weights(matrix, crossbars)
    np.testing.assert_array_equal(literal_product(matrix, crossbars, x), plain)
    product = prepare(matrix, crossbars)
    assert isinstance(product, ExactProduct)
    np.testing.assert_array_equal(product.multiply(x.astype(np.uint8), Scratch()), plain)


def test_large_sums_are_cut_until_float32_is_exact() -> None:
    matrix, crossbars = random_matrix(0)
    product = prepare(matrix, crossbars)
    assert product.bound < 1 << 24
    wide = replace(matrix, slices=tuple(replace(s, coefficient=1 << 15) for s in matrix.slices))
    wide = replace(wide, adcs=(Adc(0, 0, 1),) * len(wide.slices), input_bits=8, center=0)
    x = np.full((3, matrix.rows), 255, np.uint8)
    exact = x.astype(np.int64) @ effective_weights(wide, crossbars)
    assert np.abs(exact).max() > 1 << 24
    np.testing.assert_array_equal(prepare(wide, crossbars).multiply(x, Scratch()), exact)
