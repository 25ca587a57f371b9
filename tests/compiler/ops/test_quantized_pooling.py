"""Average pooling of codes against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.code_graphs import (
    assert_same,
    both,
    code_graph,
    random_codes,
    random_params,
    random_requant,
)

from imcc.compiler.ir import QuantParams, TensorType
from imcc.compiler.ir.ops.quantized import QAveragePool, QGlobalAveragePool
from imcc.compiler.ir.requant import Requant
from imcc.compiler.ir.types import DType
from imcc.isa.target import RequantMode

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, rank=st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_global_average_equals_onnxruntime(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(1, 9)), *(int(v) for v in rng.integers(1, 20, rank)))
    graph = code_graph(QGlobalAveragePool(random_requant(rng)), [(shape, random_params(rng))])
    assert_same(graph, [random_codes(rng, shape)], "QLinearGlobalAveragePool")


def random_pool(rng: np.random.Generator) -> QAveragePool:
    kernel = tuple(int(k) for k in rng.integers(2, 4, 2))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    pads = tuple(int(p) for p in rng.integers(0, 2, 4))
    requant = Requant(random_params(rng), 0, 255)
    return QAveragePool(
        kernel, strides, pads, bool(rng.random() < 0.5), bool(rng.random() < 0.5), requant
    )


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_average_is_within_a_step_of_onnxruntime(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, 4, 9, 8)
    graph = code_graph(random_pool(rng), [(shape, random_params(rng))])
    ours, theirs, witness = both(graph, [random_codes(rng, shape)])
    assert witness.kernels["QLinearAveragePool"] == 1
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("ceil", [False, True])
def test_average_with_gaps_is_within_a_step_of_onnxruntime(include: bool, ceil: bool) -> None:
    """It has no integer kernel for them; borders have windows of fewer elements."""
    rng = np.random.default_rng(5)
    requant = Requant(random_params(rng), 0, 255)
    op = QAveragePool((3, 2), (2, 1), (1, 2, 1, 0), ceil, include, requant, (2, 3))
    graph = code_graph(op, [((1, 4, 9, 8), random_params(rng))])
    ours, theirs, witness = both(graph, [random_codes(rng, (1, 4, 9, 8))])
    assert witness.unfused
    assert np.abs(ours - theirs).max() <= 1


def test_average_rarely_differs_from_onnxruntime() -> None:
    """Stated rate: below 2e-4 for scales that are no powers of two."""
    rng = np.random.default_rng(4)
    different = total = 0
    for _ in range(60):
        shape = (1, 16, 12, 12)
        x, y = (QuantParams((float(np.float32(rng.uniform(0.01, 0.1))),), (7,)) for _ in range(2))
        op = QAveragePool((2, 2), (2, 2), (0, 0, 0, 0), False, False, Requant(y, 0, 255))
        ours, theirs, _ = both(code_graph(op, [(shape, x)]), [random_codes(rng, shape)])
        different += int((ours != theirs).sum())
        total += ours.size
    assert different / total < 2e-4


def test_shared_scales_average_to_the_nearest_code() -> None:
    """With one scale for both sides the sum of four codes is divided by four, ties to even."""
    rng = np.random.default_rng(6)
    params = QuantParams((0.37,), (9,))
    op = QAveragePool((2,), (2,), (0, 0), False, False, Requant(params, 0, 255))
    codes = random_codes(rng, (1, 3, 10))
    (result,) = op.evaluate([codes], [TensorType(DType.U8, (1, 3, 10), params)])
    mean = codes.reshape(3, 3, 5, 2).astype(np.float64).mean(axis=-1)
    np.testing.assert_array_equal(result, np.rint(mean))


def test_border_windows_count_what_they_hold() -> None:
    requant = Requant(QuantParams((1.0,), (0,)), 0, 255)
    types = [TensorType(DType.U8, (1, 1, 4), QuantParams((1.0,), (0,)))]
    inside = QAveragePool((3,), (1,), (1, 1), False, False, requant)
    padded = QAveragePool((3,), (1,), (1, 1), False, True, requant)
    np.testing.assert_array_equal(inside.counts(types), [2, 3, 3, 2])
    np.testing.assert_array_equal(padded.counts(types), [3, 3, 3, 3])
    np.testing.assert_array_equal(
        inside.scale(types), np.float32(1) / np.array([2, 3, 3, 2], np.float32)
    )


def test_fixed_mode_is_close_to_float24() -> None:
    rng = np.random.default_rng(8)
    shape, x, y = (1, 8, 7, 7), random_params(rng), random_params(rng)
    types = [TensorType(DType.U8, shape, x)]
    codes = random_codes(rng, shape)
    results = [
        QGlobalAveragePool(Requant(y, 0, 255, mode)).evaluate([codes], types)[0].astype(int)
        for mode in RequantMode
    ]
    assert np.abs(results[0] - results[1]).max() <= 1
