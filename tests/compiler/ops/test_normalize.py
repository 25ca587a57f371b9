"""Normalization of rows against its formula in float64, and against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import node, run_onnxruntime, weights
from support.whole_models import whole_model

from imcc.compiler.ir import DType, OpError, TensorType
from imcc.compiler.ir.ops.normalize import Normalize


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.booleans(), st.booleans(), st.data())
def test_formula(shape: list[int], center: bool, affine: bool, data: st.DataObject) -> None:
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    x, operands = weights(*shape), [weights(shape[-1], seed=s) for s in (2, 3)] if affine else []
    (found,) = Normalize(axes, 0.01, center).evaluate([x, *operands], [])
    wide = x.astype(np.float64)
    wide = wide - wide.mean(axis=axes, keepdims=True) if center else wide
    expected = wide / np.sqrt((wide**2).mean(axis=axes, keepdims=True) + 0.01)
    if affine:
        expected = expected * operands[0] + operands[1]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_stage_one_of_layer_normalization() -> None:
    x = weights(2, 3, 4)
    normal = node("LayerNormalization", "x s", "y", axis=1, epsilon=1e-3)
    proto = whole_model([normal], {"x": x}, {"s": np.ones((3, 4), np.float32)}, opset=17)
    (expected,) = run_onnxruntime(proto, {"x": x})
    (found,) = Normalize((1, 2), 1e-3).evaluate([x], [])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("center", [False, True])
def test_rows_without_deviation_are_zero(center: bool) -> None:
    x = np.full((1, 2, 4), 3.0 if center else 0.0, np.float32)
    np.testing.assert_array_equal(Normalize((2,), 0.0, center).evaluate([x], [])[0], 0)


def test_operands_are_checked() -> None:
    x = TensorType(DType.F32, (1, 2, 3))
    with pytest.raises(OpError, match="axis is 3, allowed are 0 to 2"):
        Normalize((3,)).infer([x])
    with pytest.raises(OpError, match="each once"):
        Normalize((1, 1)).infer([x])
    with pytest.raises(OpError, match="must not be negative"):
        Normalize((1,), -1.0).infer([x])
    assert Normalize((0,)).batch_problem([x])
