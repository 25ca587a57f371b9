"""Output stages that switch where a quantizer of real numbers does, for every accumulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imcc.compiler.ir.requant import Requant
from imcc.compiler.ir.types import QuantParams
from imcc.compiler.quantize.adopt.scaling import Scaling
from imcc.compiler.quantize.adopt.thresholds import MOST_SHIFT, OutputStage, fit, fit_sign

SCALE = 0.37


def made(stage: OutputStage, bits: int, accumulators: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes less their zero point, as the machine makes them in float32."""
    half = 1 << (bits - 1)
    requant = Requant(QuantParams((SCALE,), (half,), None, bits), 0, 2 * half - 1)
    words = np.ldexp((stage.step / SCALE).astype(np.float32), -stage.shift)
    total = (accumulators[:, np.newaxis] << stage.shift) + stage.bias
    return requant.apply(total, words).astype(np.int64) - half


@example(2, [(0.001, 0.703125)])  # with a bias of 703 an accumulator lies on the threshold
@given(
    st.integers(2, 8),
    st.lists(st.tuples(st.floats(0.001, 2), st.floats(-3, 3)), min_size=1, max_size=6),
)
@example(3, [(0.001, 1.15625)])  # a whole bias would make a tie where the model has none
@settings(max_examples=60, deadline=None)
def test_every_threshold_of_small_products(bits: int, channels: list[tuple[float, float]]) -> None:
    """784 accumulators on either side, as in a layer of binary weights."""
    factor, offset = np.array(channels).T
    half, reach = 1 << (bits - 1), 784
    accumulators = np.arange(-reach, reach + 1)
    stage = fit(Scaling(factor, offset), SCALE, (-half, half - 1), reach)
    exact = (accumulators[:, np.newaxis] * factor + offset) / SCALE
    wanted = np.clip(np.rint(exact), -half, half - 1)
    # Next to a tie float32 may decide otherwise, and the finest bias is off by half its unit.
    unit = np.ldexp(factor / SCALE, -MOST_SHIFT)
    near = np.abs(exact - np.floor(exact) - 0.5) < 1e-4 + unit / 2
    differs = (made(stage, bits, accumulators) != wanted) & ~near
    assert differs.sum(axis=0).max() <= 2 * reach * 1e-4


def test_coarse_biases_need_no_shift() -> None:
    """Where a code is thousands of accumulators wide, a whole number of them is fine enough."""
    scaling = Scaling(np.array([1e-5]), np.array([0.123456]))
    assert fit(scaling, SCALE, (-128, 127), 1 << 20).shift == 0


@given(st.lists(st.tuples(st.floats(0.01, 2), st.floats(-99, 99)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_signs(channels: list[tuple[float, float]]) -> None:
    factor, offset = np.array(channels).T
    accumulators = np.arange(-64, 65)
    stage = fit_sign(Scaling(factor, offset), SCALE, 64)
    exact = accumulators[:, np.newaxis] * factor + offset
    found = np.clip(made(stage, 4, accumulators), -1, 1)
    near = np.abs(exact) < 1e-9
    assert np.array_equal(found[~near], np.where(exact >= 0, 1, -1)[~near])


@pytest.mark.parametrize("offset", [0.0, 1.0, -1.0])
def test_zero_counts_as_positive(offset: float) -> None:
    stage = fit_sign(Scaling(np.array([0.5]), np.array([offset])), SCALE, 64)
    tie = np.array([round(-offset / 0.5)])
    assert made(stage, 4, tie)[0, 0] > 0
    assert made(stage, 4, tie - 1)[0, 0] < 0
