"""Prepared products equal the literal one, and the plain product where nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from support.random_matrices import effective_weights, random_matrix

from imcc.isa import Adc, Matrix, Slice, Tile, load_target
from imcc.runtime.crossbar import Crossbars, copies_agree, literal_product
from imcc.runtime.prepare import prepare
from imcc.runtime.products import ExactProduct
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


def test_a_row_counts_only_in_its_diagonal_block() -> None:
    """Two blocks of 2 x 1 weights, levels 1 and center -3: nothing of a block in the other."""
    tiles = tuple(Tile(0, 2 * i, i, 2 * i, 2, i, 1, 0) for i in range(2))
    matrix = Matrix(
        0, 4, 2, 8, 8, (Slice(2, 1),), (Adc(0, 0, 1),), tiles, -3, False, 0, 2, 1
    )  # fmt: skip
    crossbars = Crossbars(load_target("tiny"))
    crossbars.write(0, 0, 0, 0, np.ones((4, 2), np.uint8))
    x = np.array([[5, 7, 100, 200]])
    expected = [[-2 * 12, -2 * 300]]
    assert literal_product(matrix, crossbars, x).tolist() == expected
    found = prepare(matrix, crossbars).multiply(x.astype(np.uint8), Scratch())
    assert found.tolist() == expected


def test_windows_are_dealt_to_copies() -> None:
    """Copies that hold 1 and 2: windows 0 and 2 of each input go to the first."""
    tiles = tuple(Tile(0, 0, copy, 0, 1, 0, 1, 0, copy=copy) for copy in range(2))
    matrix = Matrix(
        0, 1, 1, 8, 8, (Slice(2, 1),), (Adc(0, 0, 1),), tiles, 0, False, 0, copies=2
    )  # fmt: skip
    crossbars = Crossbars(load_target("tiny"))
    crossbars.write(0, 0, 0, 0, np.array([[1, 2]], np.uint8))
    x = np.array([[[10], [20], [30]], [[40], [50], [60]]])
    found = literal_product(matrix, crossbars, x)
    assert found[..., 0].tolist() == [[10, 40, 30], [40, 100, 60]]
    assert not copies_agree(matrix, crossbars)
    crossbars.write(0, 0, 0, 0, np.array([[2, 2]], np.uint8))
    assert copies_agree(matrix, crossbars)


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
