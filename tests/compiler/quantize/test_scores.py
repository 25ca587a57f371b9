"""What counts of the scores before a Softmax: masks cost no digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import i64, model, node, run_onnxruntime, weights

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import evaluate
from imcc.compiler.passes import PassContext, Pipeline
from imcc.compiler.quantize.scores import counting, score_axes


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2000), st.floats(1, 1e4), st.integers(0, 2**32 - 1))
def test_what_is_left_out_weighs_half_a_code(length: int, spread: float, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(0, spread, (2, length))
    kept = counting(scores, 1)
    exponential = np.exp(kept - kept.max(axis=1, keepdims=True))
    weights_ = exponential / exponential.sum(axis=1, keepdims=True)
    assert (weights_[kept != scores]).sum() <= 2 * 0.5 / 256


def test_only_values_for_softmax_alone_are_scores() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Softmax", "a", "b", axis=2),
        node("Exp", "b", "c"),
        node("Softmax", "c", "d"),
        node("Add", "c d", "y"),
    ]
    assert score_axes(import_onnx(model(nodes, {"x": ["N", 4, 5]}))) == {"a": 2}


def test_rows_may_be_regrouped_before_softmax() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Reshape", "a s", "b"),
        node("Softmax", "b", "y"),
    ]
    shapes = (([0, 2, 2, 5], {"a": 2, "b": 3}), ([0, 2, 5, 2], {"b": 3}))
    for shape, expected in shapes:
        proto = model(nodes, {"x": ["N", 4, 5]}, {"s": i64(shape)})
        assert score_axes(import_onnx(proto)) == expected


@pytest.mark.parametrize("hidden", [-1e9, -np.inf])
def test_masked_softmax_keeps_its_digits(hidden: float) -> None:
    mask = np.triu(np.full((6, 6), hidden, np.float32), 1)
    proto = model(
        [node("Add", "x m", "s"), node("Softmax", "s", "y")], {"x": ["N", 3, 6, 6]}, {"m": mask}
    )
    x = {"x": weights(16, 3, 6, 6)}
    context = PassContext(samples=lambda: [x])
    graph = Pipeline.parse("decompose,quantize").run(import_onnx(proto), context)
    (expected,) = run_onnxruntime(proto, x)
    error = evaluate(graph, x)["y"] - expected
    assert 10 * np.log10(np.square(expected).sum() / np.square(error).sum()) > 35
