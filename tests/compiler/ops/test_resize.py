"""Resampling against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import f32, i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.errors import UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import OpError, TensorType, evaluate
from imcc.compiler.ir.ops.resize import Interpolation, Resize, ResizedAxis
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=60, deadline=None)
COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
EXTENTS = st.integers(2, 9)


@FEW
@given(
    st.sampled_from(["linear", "cubic"]),
    st.sampled_from(COORDINATES),
    st.tuples(EXTENTS, EXTENTS),
    st.tuples(EXTENTS, EXTENTS),
)
def test_sizes(mode: str, kind: str, extents: tuple[int, int], sizes: tuple[int, int]) -> None:
    inputs = {"x": weights(2, 3, *extents)}
    constants = {"sizes": i64([2, 3, *sizes])}
    resize = node("Resize", "x _ _ sizes", "y", mode=mode, coordinate_transformation_mode=kind)
    proto = whole_model([resize], inputs, constants, opset=13)
    assert_whole_matches(proto, inputs, rtol=1e-3, atol=1e-4)


@FEW
@given(
    st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]),
    st.sampled_from(COORDINATES),
    st.tuples(st.sampled_from([0.5, 1.0, 2.0, 4.0]), st.sampled_from([0.25, 1.0, 2.0])),
)
def test_nearest(rounding: str, kind: str, scales: tuple[float, float]) -> None:
    """Powers of two, where float32 and float64 coordinates agree."""
    inputs = {"x": weights(1, 2, 4, 8)}
    constants = {"scales": f32([1, 1, *scales])}
    attributes = {"nearest_mode": rounding, "coordinate_transformation_mode": kind}
    resize = node("Resize", "x _ scales", "y", mode="nearest", **attributes)
    assert_whole_matches(whole_model([resize], inputs, constants, opset=13), inputs)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("exclude", [0, 1])
def test_antialias(mode: str, exclude: int) -> None:
    inputs = {"x": weights(1, 1, 8, 9)}
    constants = {"sizes": i64([3, 12])}
    attributes = {"mode": mode, "antialias": 1, "axes": [2, 3]}
    if exclude:
        attributes["exclude_outside"] = 1
    resize = node("Resize", "x _ _ sizes", "y", **attributes)
    proto = whole_model([resize], inputs, constants, opset=19)
    if exclude:
        assert_whole_matches(proto, inputs, rtol=1e-3, atol=1e-4)
        return
    found = evaluate(import_onnx(proto, batched=False), inputs)["y"]
    assert found.shape == (1, 1, 3, 12)
    assert abs(found.mean() - inputs["x"].mean()) < 0.2


def test_crop() -> None:
    inputs = {"x": weights(1, 1, 5, 6)}
    constants = {"roi": f32([0, 0, 0.2, -0.3, 1, 1, 0.7, 1.2]), "sizes": i64([1, 1, 4, 5])}
    resize = node(
        "Resize",
        "x roi _ sizes",
        "y",
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=7.0,
    )
    graph = assert_whole_matches(
        whole_model([resize], inputs, constants, opset=13), inputs, rtol=1e-4
    )
    assert 7 in evaluate(graph, inputs)["y"]


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_ratio_is_kept(policy: str) -> None:
    inputs = {"x": weights(1, 1, 4, 6)}
    constants = {"sizes": i64([9, 9])}
    resize = node(
        "Resize", "x _ _ sizes", "y", mode="linear", axes=[2, 3], keep_aspect_ratio_policy=policy
    )
    assert_whole_matches(whole_model([resize], inputs, constants, opset=18), inputs, rtol=1e-4)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scale", [0.5, 0.7, 1.5, 3.0])
@pytest.mark.parametrize("op_type", ["Resize", "Upsample"])
def test_old_forms(op_type: str, scale: float, mode: str) -> None:
    if op_type == "Upsample" and scale < 1:
        scale = 2.0
    inputs = {"x": weights(1, 2, 6, 7)}
    constants = {"scales": f32([1, 1, scale, scale])}
    proto = whole_model(
        [node(op_type, "x scales", "y", mode=mode)],
        inputs,
        constants,
        opset=10 if op_type == "Resize" else 9,
    )
    assert_whole_matches(proto, inputs, rtol=1e-4)


def test_nearest_elements_of_integers() -> None:
    x = np.arange(6, dtype=np.uint8).reshape(1, 6)
    op = Resize((ResizedAxis(1, 3, 0.5),), Interpolation.NEAREST)
    (found,) = op.evaluate([x], [])
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 2, 4]]


def test_unknown_words_are_refused() -> None:
    inputs = {"x": weights(1, 1, 4, 4)}
    resize = node(
        "Resize",
        "x _ scales",
        "y",
        mode="nearest",
        coordinate_transformation_mode="tf_half_pixel_for_nn",
    )
    proto = whole_model([resize], inputs, {"scales": f32([1, 1, 2, 2])}, opset=11)
    with pytest.raises(UnsupportedError, match="tf_half_pixel_for_nn"):
        import_onnx(proto, batched=False)


def test_extents_are_checked() -> None:
    with pytest.raises(OpError, match="cannot become 0"):
        Resize((ResizedAxis(1, 0, 0.1),), Interpolation.LINEAR).infer(
            [TensorType(DType.F32, (1, 4))]
        )
    axis = ResizedAxis(1, 2, 0.5)
    with pytest.raises(OpError, match="once"):
        Resize((axis, axis), Interpolation.LINEAR).infer([TensorType(DType.F32, (1, 4))])
