"""Normalization by a sample's own statistics, against onnxruntime and against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.ir import OpError, TensorType
from imcc.compiler.ir.ops.layer_norm import GroupNormalization, LayerNormalization, RMSNormalization
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=30, deadline=None)
SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4)


@FEW
@given(SHAPES, st.data(), st.booleans())
def test_layer_normalization(shape: list[int], data: st.DataObject, bias: bool) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    tail = shape[axis % len(shape) :]
    inputs = {"x": weights(*shape), "s": weights(*tail, seed=2)}
    if bias:
        inputs["b"] = weights(*tail, seed=3)
    normal = node("LayerNormalization", "x s b" if bias else "x s", "y", axis=axis, epsilon=0.01)
    assert_whole_matches(whole_model([normal], inputs, opset=17), inputs, rtol=1e-4)


def test_statistics_are_results() -> None:
    inputs = {"x": weights(2, 3, 4), "s": weights(4, seed=2)}
    normal = node("LayerNormalization", "x s", "y m d")
    graph = assert_whole_matches(
        whole_model([normal], inputs, outputs="y m d", opset=17), inputs, rtol=1e-4
    )
    assert len(graph.nodes[0].results) == 3


@FEW
@given(SHAPES, st.data())
def test_rms_normalization(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    x, scale = weights(*shape), weights(*shape[axis:], seed=2)
    (found,) = RMSNormalization(axis, 0.01).evaluate([x, scale], [])
    wide = x.astype(np.float64)
    power = np.sqrt((wide**2).mean(axis=tuple(range(axis, x.ndim)), keepdims=True) + 0.01)
    np.testing.assert_allclose(found, wide / power * scale, rtol=1e-5, atol=1e-6)


@FEW
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from([18, 21]))
def test_group_normalization(groups: int, each: int, samples: int, opset: int) -> None:
    channels = groups * each
    size = groups if opset == 18 else channels
    inputs = {"x": weights(samples, channels, 3, 4)}
    constants = {"s": weights(size, seed=2), "b": weights(size, seed=3)}
    normal = node("GroupNormalization", "x s b", "y", num_groups=groups)
    assert_whole_matches(whole_model([normal], inputs, constants, opset=opset), inputs, rtol=1e-4)


def test_instance_normalization() -> None:
    inputs = {"x": weights(2, 3, 5), "s": weights(3, seed=2), "b": weights(3, seed=3)}
    normal = node("InstanceNormalization", "x s b", "y", epsilon=0.1)
    assert_whole_matches(whole_model([normal], inputs), inputs, rtol=1e-4)


def test_float16_is_summed_in_float32() -> None:
    x = np.full((1, 4000), 8, np.float16)
    x[0, ::2] = -8
    (found,) = LayerNormalization(1).evaluate([x, np.ones(4000, np.float16)], [])
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, np.sign(x), rtol=1e-3)


def test_operands_are_checked() -> None:
    x = TensorType(DType.F32, (2, 6, 4))
    with pytest.raises(OpError, match="axis is 3, allowed are 0 to 2"):
        LayerNormalization(3).infer([x, x])
    with pytest.raises(OpError, match="scale has shape"):
        LayerNormalization(2).infer([x, TensorType(DType.F32, (5,))])
    vector = TensorType(DType.F32, (6,))
    with pytest.raises(OpError, match="6 channels do not split into 4 groups"):
        GroupNormalization(4).infer([x, vector, vector])


def test_statistics_of_a_batch_are_refused() -> None:
    x = TensorType(DType.F32, (1, 4))
    assert LayerNormalization(0).batch_problem([x, x])
    assert not LayerNormalization(1).batch_problem([x, x])
