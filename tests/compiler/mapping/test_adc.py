"""Converter settings and row blocks."""

from __future__ import annotations

from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.mapping.adc import Columns, choose, convert
from imcc.compiler.mapping.encoding import BlockWeights, block_planes, code_of
from imcc.compiler.mapping.options import AdcPolicy
from imcc.compiler.mapping.partition import Place, cut
from imcc.isa.bound import column_sums, is_lossless
from imcc.isa.matrix import Adc
from imcc.isa.target import load_target


def _columns(level: int, rows: int, adc_bits: int, *, signed: bool = False) -> Columns:
    cells = np.full((1, rows, 1), level, np.uint8)
    return Columns(cells, np.zeros_like(cells) if signed else None, 8, 1, adc_bits)


@given(
    bits=st.integers(1, 12),
    low=st.integers(-4096, 100),
    step=st.integers(1, 40),
    seed=st.integers(0, 1 << 16),
)
@settings(max_examples=60, deadline=None)
def test_convert_is_the_formula_of_the_instruction_set(
    bits: int, low: int, step: int, seed: int
) -> None:
    sums = np.random.default_rng(seed).integers(-5000, 5000, 200)
    expected = [
        min(max(floor((a - low + step // 2) / step), 0), 2**bits - 1) * step + low for a in sums
    ]
    assert convert(sums.astype(np.float64), Adc(bits, low, step)).tolist() == expected


def test_converter_without_bits_is_exact() -> None:
    sums = np.array([-7.0, 1e6])
    assert convert(sums, Adc(0, 0, 1)) is sums


def test_digital_arrays_get_full_row_blocks() -> None:
    blocks, adcs = choose(_columns(3, 200, 0), 128, AdcPolicy.LOSSLESS)
    assert blocks == ((0, 128), (128, 72))
    assert adcs == (Adc(0, 0, 1),)


def test_lossless_drives_as_many_rows_as_the_converter_can_tell_apart() -> None:
    blocks, adcs = choose(_columns(3, 200, 8), 128, AdcPolicy.LOSSLESS)  # 255 // 3 = 85 rows
    assert blocks == ((0, 85), (85, 85), (170, 30))
    assert adcs == (Adc(8, 0, 1),)


def test_signed_converters_have_half_the_codes_for_positive_sums() -> None:
    blocks, adcs = choose(_columns(3, 100, 8, signed=True), 128, AdcPolicy.LOSSLESS)
    assert blocks == ((0, 42), (42, 42), (84, 16))  # 127 // 3 = 42 rows
    assert adcs == (Adc(8, -128, 1),)


def test_too_many_row_blocks_fall_back_to_saturating() -> None:
    few, _ = choose(_columns(3, 128, 7), 128, AdcPolicy.LOSSLESS)  # 42 rows: 4 blocks
    assert len(few) == 4
    blocks, adcs = choose(_columns(3, 128, 6), 128, AdcPolicy.LOSSLESS)  # 21 rows: 7 blocks
    assert blocks == ((0, 128),)
    assert adcs[0].step > 1


def test_covering_reaches_every_sum_and_saturating_four_deviations() -> None:
    columns = _columns(3, 128, 6)
    _, (covering,) = choose(columns, 128, AdcPolicy.COVERING)
    _, (saturating,) = choose(columns, 128, AdcPolicy.SATURATING)
    assert covering.step == 8  # 384 = 64 codes of 6 levels; the next power of two is 8
    deviation = 3 * np.sqrt(128 / 4)  # inputs 0 or 1 with probability 1/2
    assert 192 + 4 * deviation < 63 * saturating.step + saturating.step / 2
    assert saturating.step <= covering.step


@given(
    policy=st.sampled_from([AdcPolicy.COVERING, AdcPolicy.SATURATING]),
    adc_bits=st.integers(4, 10),
    signed=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
@settings(max_examples=40, deadline=None)
def test_covering_never_clips(policy: AdcPolicy, adc_bits: int, signed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 4, (2, 60, 5)).astype(np.uint8)
    negative = np.where(cells > 0, 0, rng.integers(0, 4, cells.shape)).astype(np.uint8)
    columns = Columns(cells, negative if signed else None, 8, 2, adc_bits)
    blocks, adcs = choose(columns, 32, policy)
    clipped = 0
    for block in blocks:
        for ends in columns.extremes(block):
            for adc, values in zip(adcs, ends.astype(np.float64), strict=True):
                clipped += int((np.abs(convert(values, adc) - values) > adc.step / 2).sum())
    assert clipped == 0 or policy is AdcPolicy.SATURATING


@pytest.mark.parametrize(
    ("target", "dense_is_lossless"),
    [
        ("isaac", False),  # 120 rows of level 3 are 360, above 255
        ("neurram", False),  # 120 rows of level 15 and inputs up to 15 are 27,000
        ("tiny", True),  # 32 rows of level 3 are 96
        ("dcim22", True),  # digital
    ],
)
def test_losslessness_is_proved_by_column_sums(target: str, dense_is_lossless: bool) -> None:
    sparse = np.zeros((120, 8), np.int8)
    sparse[::60] = -1
    for weights, lossless in ((np.full((120, 8), 127, np.int8), dense_is_lossless), (sparse, True)):
        own = BlockWeights.dense(weights)
        made = cut(own, 8, 8, load_target(target), AdcPolicy.COVERING)
        matrix = made.matrix(0, [Place(0, 0, 0)] * len(made.shapes))
        sums = column_sums(matrix, block_planes(code_of(matrix), own))
        proved = is_lossless(matrix, sums)
        assert proved is lossless
