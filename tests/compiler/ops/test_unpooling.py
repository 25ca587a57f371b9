"""MaxUnpool and CenterCropPad."""

from __future__ import annotations

import numpy as np
import pytest
from support.onnx_models import i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import OpError, TensorType, evaluate
from imcc.compiler.ir.ops.unpooling import MaxUnpool
from imcc.compiler.ir.types import DType


@pytest.mark.parametrize("extents", [None, (9, 8)])
def test_unpooling_undoes_pooling(extents: tuple[int, int] | None) -> None:
    inputs = {"x": weights(2, 3, 8, 8)}
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    constants = {} if extents is None else {"shape": i64([2, 3, *extents])}
    nodes = [
        node("MaxPool", "x", "p i", **attributes),
        node("MaxUnpool", "p i" if extents is None else "p i shape", "y", **attributes),
    ]
    proto = whole_model(nodes, inputs, constants, opset=11)
    if extents is None:
        assert_whole_matches(proto, inputs)
        return
    found = evaluate(import_onnx(proto, batched=False), inputs)["y"]
    assert found.shape == (2, 3, *extents)
    whole = inputs["x"].reshape(2, 3, 4, 2, 4, 2)
    largest = np.where(whole == whole.max(axis=(3, 5), keepdims=True), whole, 0)
    np.testing.assert_array_equal(found[:, :, :8, :8], largest.reshape(2, 3, 8, 8))
    assert not found[:, :, 8:].any()


def test_indices_of_a_batch_count_within_a_sample() -> None:
    x = weights(3, 1, 2)
    index = np.array([[[0, 3]]] * 3)
    types = [TensorType(DType.F32, (1, 1, 2)), TensorType(DType.I64, (1, 1, 2))]
    (y,) = MaxUnpool((4,), (4,)).evaluate([x, index], types)
    np.testing.assert_array_equal(y[:, :, [0, 3]], x)


def test_operands_are_checked() -> None:
    x = TensorType(DType.F32, (1, 1, 2))
    with pytest.raises(OpError, match="indices are f32"):
        MaxUnpool((4,), (4,)).infer([x, x])
    with pytest.raises(OpError, match="must hold"):
        MaxUnpool((4,), (3,)).infer([x, TensorType(DType.I64, (1, 1, 2))])


@pytest.mark.parametrize(
    ("shape", "axes"), [((4, 9), None), ((6, 3), (0, 1)), ((3,), (-1,)), ((9, 2), (1, 0))]
)
def test_center_crop_pad(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> None:
    inputs = {"x": weights(5, 6)}
    attributes = {} if axes is None else {"axes": list(axes)}
    crop = node("CenterCropPad", "x shape", "y", **attributes)
    assert_whole_matches(whole_model([crop], inputs, {"shape": i64(shape)}, opset=18), inputs)
