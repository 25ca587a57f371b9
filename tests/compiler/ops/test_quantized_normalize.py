"""Normalization of codes: a stated bound against float64, and onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.code_graphs import both, code_graph, random_codes, random_params

from imcc.compiler.ir import Array, GraphBuilder, QuantParams, TensorType, Value
from imcc.compiler.ir.ops.quantized_normalize import QNormalize, affine_words
from imcc.compiler.ir.requant import Requant, full_range
from imcc.compiler.ir.types import DType
from imcc.isa.target import RequantMode

Reals = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def exact(codes: Array, params: QuantParams, op: QNormalize, gamma: Array, beta: Array) -> Reals:
    """The formula of LayerNormalization (or RMSNormalization) in float64."""
    x = (codes.astype(np.float64) - params.zero_point[0]) * params.scale[0]
    if op.center:
        x = x - x.mean(axis=op.axes, keepdims=True)
    power = np.square(x).mean(axis=op.axes, keepdims=True) + op.epsilon
    return np.asarray(gamma.astype(np.float64) * x / np.sqrt(power) + beta)


def normalized(
    op: QNormalize, codes: Array, params: QuantParams, gamma: Array, beta: Array
) -> Array:
    """The codes by the evaluator."""
    row = int(np.prod([codes.shape[axis] for axis in op.axes]))
    words = affine_words(gamma, beta, row, op.requant.output)
    types = [
        TensorType(DType.U8, (1, *codes.shape[1:]), params),
        TensorType(DType.I32, words[0].shape),
        TensorType(DType.F32, words[1].shape),
    ]
    assert op.infer(types)[0].shape == types[0].shape
    (result,) = op.evaluate([codes, *words], types)
    return result


@given(seed=seeds, center=st.booleans(), mode=st.sampled_from(RequantMode))
@settings(max_examples=60, deadline=None)
def test_error_is_within_the_bound(seed: int, center: bool, mode: RequantMode) -> None:
    """The sum that the module says."""
    rng = np.random.default_rng(seed)
    axes = ((2,), (3,), (2, 3), (1, 3))[rng.integers(4)]
    params, shape = random_params(rng), (2, *(int(v) for v in rng.integers(1, 12, 3)))
    gamma = (rng.standard_normal(shape[3]) * 2.0 ** rng.integers(-3, 3)).astype(np.float32)
    beta = rng.standard_normal(shape[3]).astype(np.float32)
    output = QuantParams((float(np.float32(rng.uniform(0.02, 0.2))),), (128,))
    epsilon = float(rng.choice([0.0, 1e-5, 0.1]))
    op = QNormalize(axes, epsilon, center, full_range(output, mode))
    codes = rng.integers(0, 256, shape, dtype=np.uint8)
    if epsilon == 0:  # a row of equal codes has no deviation to divide by
        codes[..., 0], codes[:, :, 0, :] = 7, 9
    with np.errstate(invalid="ignore", divide="ignore"):
        y = exact(codes, params, op, gamma, beta)
    reals = (normalized(op, codes, params, gamma, beta).astype(np.float64) - 128) * output.scale[0]
    low, high = -128 * output.scale[0], 127 * output.scale[0]
    row = int(np.prod([shape[axis] for axis in axes]))
    bound = output.scale[0] / 2 + 2.0**-15 * np.abs(gamma) + 2.0**-21 * np.abs(y)
    bound = bound + np.abs(y - beta) / (4 * max(row * (row - 1), 1))
    known = np.isfinite(y)
    assert (np.abs(reals - np.clip(y, low, high)) <= bound)[known].all()


def test_gamma_that_is_zero_or_tiny_leaves_beta() -> None:
    rng = np.random.default_rng(1)
    gamma = np.array([0, 1e-30, -1e-9, 1e-4, 0, -2], np.float32)
    beta = np.array([1.5, -2.0, 0.76, 0, 0, 0.5], np.float32)
    params, output = QuantParams((0.1,), (100,)), QuantParams((0.02,), (128,))
    op = QNormalize((2,), 1e-5, True, full_range(output))
    codes = rng.integers(0, 256, (4, 5, 6), dtype=np.uint8)
    found = normalized(op, codes, params, gamma, beta)
    expected = np.clip(np.rint(exact(codes, params, op, gamma, beta) / 0.02), -128, 127) + 128
    assert np.abs(found[..., :5] - expected[..., :5]).max() == 0
    assert np.abs(found[..., 5] - expected[..., 5]).max() <= 1


def test_largest_rows_do_not_overflow() -> None:
    """32,768 codes, of which one differs: the largest normalized value that there is."""
    params, output = QuantParams((1.0,), (0,)), QuantParams((2.0,), (0,))
    codes = np.zeros((1, 1, 1 << 15), np.uint8)
    codes[0, 0, 5] = 255
    for center in (True, False):
        op = QNormalize((2,), 0.0, center, full_range(output))
        found = normalized(op, codes, params, np.ones(1), np.zeros(1))
        assert found[0, 0, 5] == round(np.sqrt((1 << 15) - center) / 2)
        assert found.sum() == found[0, 0, 5]


def test_epsilon_counts_in_exact_units() -> None:
    """``K^3 * epsilon / s^2`` in 64 bits, and no more than these hold."""
    op = QNormalize((1,), 0.5, True, full_range(QuantParams((1.0,), (0,))))
    assert op.epsilon_word(TensorType(DType.U8, (1, 10), QuantParams((0.25,), (0,)))) == 8000
    tiny = TensorType(DType.U8, (1, 10), QuantParams((2.0**-60,), (0,)))
    assert op.epsilon_word(tiny) == 2**64 - 1
    codes = np.arange(10, dtype=np.uint8)[None]
    assert not op.normalized(codes, tiny).any()


def test_one_step_differences_from_onnxruntime_are_rare() -> None:
    """Stated rate: about 1e-4, never more than a step."""
    rng, different, total = np.random.default_rng(2), 0, 0
    for center in (True, False):
        for _ in range(10):
            shape = (1, 40, 64)
            gamma = (1 + 0.3 * rng.standard_normal(64)).astype(np.float32)
            beta = (0.3 * rng.standard_normal(64)).astype(np.float32)
            output = QuantParams((float(np.float32(rng.uniform(0.02, 0.05))),), (120,))
            op = QNormalize((2,), 1e-5, center, Requant(output, 0, 255))
            words = affine_words(gamma, beta, 64, output)

            def constants(builder: GraphBuilder, words: Sequence[Array] = words) -> list[Value]:
                return [
                    builder.constant(word, name) for word, name in zip(words, "bs", strict=True)
                ]

            graph = code_graph(op, [(shape, random_params(rng))], constants)
            ours, theirs, _ = both(graph, [random_codes(rng, shape)])
            assert np.abs(ours - theirs).max() <= 1
            different += int((ours != theirs).sum())
            total += ours.size
    assert different / total < 3e-4
