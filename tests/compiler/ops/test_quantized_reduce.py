"""Reductions of codes against NumPy on integers and onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.code_graphs import (
    Codes,
    assert_same,
    both,
    code_graph,
    random_codes,
    random_params,
    random_requant,
)

from imcc.compiler.ir import QuantParams, TensorType
from imcc.compiler.ir.op import OpError
from imcc.compiler.ir.ops.quantized_reduce import QReduceMax, QReduceSum
from imcc.compiler.ir.types import DType

seeds = st.integers(0, 2**32 - 1)


def random_axes(rng: np.random.Generator, rank: int) -> tuple[int, ...]:
    """Some of the axes behind the batch."""
    count = int(rng.integers(1, rank))
    return tuple(int(axis) for axis in sorted(rng.choice(np.arange(1, rank), count, replace=False)))


def random_shape(rng: np.random.Generator) -> tuple[int, ...]:
    """One to four axes behind the batch."""
    return (1, *(int(extent) for extent in rng.integers(1, 8, int(rng.integers(1, 5)))))


@given(seed=seeds, keep=st.booleans())
@settings(max_examples=30, deadline=None)
def test_largest_code_equals_onnxruntime(seed: int, keep: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = random_shape(rng)
    op = QReduceMax(random_axes(rng, len(shape)), keep)
    assert_same(
        code_graph(op, [(shape, random_params(rng))]), [random_codes(rng, shape)], "ReduceMax"
    )


@given(seed=seeds, keep=st.booleans(), mean=st.booleans())
@settings(max_examples=30, deadline=None)
def test_sums_are_within_a_step_of_onnxruntime(seed: int, keep: bool, mean: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = random_shape(rng)
    op = QReduceSum(random_axes(rng, len(shape)), keep, mean, random_requant(rng))
    ours, theirs, _ = both(
        code_graph(op, [(shape, random_params(rng))]), [random_codes(rng, shape)]
    )
    assert np.abs(ours - theirs).max() <= 1


@given(seed=seeds, mean=st.booleans())
@settings(max_examples=30, deadline=None)
def test_sums_are_those_of_real_numbers(seed: int, mean: bool) -> None:
    """Within half a step, and what float32 scales add to it, of the exact result."""
    rng = np.random.default_rng(seed)
    shape = random_shape(rng)
    axes, params, requant = random_axes(rng, len(shape)), random_params(rng), random_requant(rng)
    codes: Codes = random_codes(rng, shape)
    type_ = TensorType(DType.U8, shape, params)
    (found,) = QReduceSum(axes, True, mean, requant).evaluate([codes], [type_])
    reals = (codes.astype(np.float64) - params.zero_point[0]) * params.scale[0]
    exact = reals.mean(axis=axes, keepdims=True) if mean else reals.sum(axis=axes, keepdims=True)
    steps = exact / requant.output.scale[0] + requant.output.zero_point[0]
    assert np.abs(found - np.clip(steps, requant.low, requant.high)).max() <= 0.5 + 1e-4


def test_means_rarely_differ_from_onnxruntime() -> None:
    """Stated rate: below 2e-4 for scales that are no powers of two."""
    rng = np.random.default_rng(3)
    different = total = 0
    for _ in range(40):
        scales = (float(np.float32(rng.uniform(0.01, 0.1))) for _ in range(2))
        params, output = (QuantParams((scale,), (128,)) for scale in scales)
        op = QReduceSum((2,), True, True, random_requant(rng, output.scale[0]))
        graph = code_graph(op, [((1, 40, 9, 40), params)])
        ours, theirs, _ = both(graph, [random_codes(rng, (1, 40, 9, 40))])
        different += int(np.sum(ours != theirs))
        total += ours.size
    assert different / total < 2e-4


def test_what_cannot_be_reduced() -> None:
    x = TensorType(DType.U8, (1, 1 << 12, 1 << 12), QuantParams((0.1,), (3,)))
    requant = random_requant(np.random.default_rng(0))
    with pytest.raises(OpError, match="does not fit 32 bits"):
        QReduceSum((1, 2), True, True, requant).infer([x])
    with pytest.raises(OpError, match="none is the batch axis"):
        QReduceMax((0, 1)).infer([x])
