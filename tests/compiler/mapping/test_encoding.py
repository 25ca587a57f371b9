"""Weights as cell levels: the formulas of each encoding, and the way back."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.mapping.encoding import BlockWeights, choose_code, decode, levels, planes
from imcc.compiler.mapping.options import AdcPolicy
from imcc.compiler.mapping.partition import Place, cut
from imcc.isa.matrix import Slice
from imcc.isa.target import Encoding, load_target

TARGETS = ("isaac", "puma", "dcim22", "neurram", "tiny")


def test_offset_adds_half_the_range_and_cuts_lowest_bits_first() -> None:
    code = choose_code(Encoding.OFFSET, 2, 8, np.array([[-3]], np.int8))
    assert code.slices == tuple(Slice(2, 4**i) for i in range(4))
    assert code.center == -128
    positive, negative = planes(code, np.array([[-3]], np.int8))
    assert positive.ravel().tolist() == [1, 3, 3, 1]  # 125 = 1 + 3*4 + 3*16 + 1*64
    assert negative is None


def test_last_slice_has_the_bits_that_are_left() -> None:
    code = choose_code(Encoding.OFFSET, 4, 6, np.zeros((1, 1), np.int8))
    assert code.slices == (Slice(4, 1), Slice(2, 16))


def test_sign_bit_of_twos_complement_has_its_own_negative_slice() -> None:
    code = choose_code(Encoding.TWOS_COMPLEMENT, 2, 4, np.array([[-5]], np.int8))
    assert code.slices == (Slice(2, 1), Slice(1, 4), Slice(1, -8))
    positive, _ = planes(code, np.array([[-5]], np.int8))
    assert positive.ravel().tolist() == [3, 0, 1]  # -5 = 3 + 0*4 - 8


def test_differential_cells_hold_magnitudes() -> None:
    weights = np.array([[-5, 6]], np.int8)
    code = choose_code(Encoding.DIFFERENTIAL_COLUMNS, 2, 4, weights)
    assert code.slices == (Slice(2, 1), Slice(1, 4))
    positive, negative = planes(code, weights)
    assert negative is not None
    assert positive[:, 0].tolist() == [[0, 2], [0, 1]]
    assert negative[:, 0].tolist() == [[1, 0], [1, 0]]


def test_differential_takes_one_more_bit_for_the_most_negative_weight() -> None:
    code = choose_code(Encoding.DIFFERENTIAL_ROWS, 4, 8, np.array([[-128]], np.int8))
    assert sum(piece.bits for piece in code.slices) == 8


@pytest.mark.parametrize("encoding", Encoding)
def test_levels_fit_their_cells_for_every_weight(encoding: Encoding) -> None:
    for bits, cell_bits in product((2, 3, 5, 8), (1, 2, 4, 8)):
        weights = np.arange(-(1 << (bits - 1)), 1 << (bits - 1)).astype(np.int8)[:, np.newaxis]
        code = choose_code(encoding, cell_bits, bits, weights)
        worth = np.array([piece.coefficient for piece in code.slices])[:, np.newaxis, np.newaxis]
        positive, negative = planes(code, weights)
        value = (worth * positive).sum(axis=0) + code.center
        if negative is not None:
            value = value - (worth * negative).sum(axis=0)
        np.testing.assert_array_equal(value, weights)
        for index, piece in enumerate(code.slices):
            assert piece.bits <= cell_bits
            assert int(positive[index].max()) < 1 << piece.bits


@given(
    target=st.sampled_from(TARGETS),
    bits=st.integers(2, 8),
    block=st.tuples(st.integers(1, 200), st.integers(1, 40)),
    whole=st.integers(0, 3),
    seed=st.integers(0, 1 << 16),
)
@settings(max_examples=60, deadline=None)
def test_decode_gives_the_weights_back(
    target: str, bits: int, block: tuple[int, int], whole: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    last = tuple(int(rng.integers(1, extent + 1)) if whole else extent for extent in block)
    low = -(1 << (bits - 1))
    blocks = rng.integers(low, -low, (whole + 1, *block)).astype(np.int8)
    blocks[-1, last[0] :], blocks[-1, :, last[1] :] = 0, 0
    weights = BlockWeights(blocks, whole * block[0] + last[0], whole * block[1] + last[1])
    made = cut(weights, bits, 8, load_target(target), AdcPolicy.LOSSLESS)
    matrix = made.matrix(0, [Place(0, 0, 0)] * len(made.shapes) * 2, copies=2)
    assert (matrix.stack, matrix.rows, matrix.cols) == (blocks.shape, weights.rows, weights.cols)
    cells = levels(matrix, weights)
    assert all(c.shape == (t.rows, t.cols) for c, t in zip(cells, matrix.tiles, strict=True))
    np.testing.assert_array_equal(decode(matrix, cells), blocks)
