"""Sampling at computed places against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import f32, i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.ir import OpError, TensorType
from imcc.compiler.ir.ops.sampling import AffineGrid, DeformConv, GridSample, RoiAlign, gather
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("extents", [(4, 5), (2, 3, 4)])
def test_affine_grid(extents: tuple[int, ...], align: int) -> None:
    rank = len(extents)
    inputs = {"theta": weights(2, rank, rank + 1)}
    constants = {"size": i64([2, 3, *extents])}
    grid = node("AffineGrid", "theta size", "y", align_corners=align)
    assert_whole_matches(whole_model([grid], inputs, constants, opset=20), inputs, rtol=1e-4)


@FEW
@given(
    st.sampled_from(["linear", "nearest", "cubic"]),
    st.sampled_from(["zeros", "border", "reflection"]),
    st.integers(0, 1),
    st.integers(0, 99),
)
def test_grid_sample(mode: str, border: str, align: int, seed: int) -> None:
    inputs = {"x": weights(2, 3, 5, 4), "g": weights(2, 3, 6, 2, seed=seed)}
    attributes = {"mode": mode, "padding_mode": border, "align_corners": align}
    sample = node("GridSample", "x g", "y", **attributes)
    assert_whole_matches(whole_model([sample], inputs, opset=20), inputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("border", ["zeros", "border", "reflection"])
def test_volumes(mode: str, border: str) -> None:
    inputs = {"x": weights(1, 2, 3, 4, 5), "g": weights(1, 2, 3, 4, 3, seed=5)}
    sample = node("GridSample", "x g", "y", mode=mode, padding_mode=border)
    assert_whole_matches(whole_model([sample], inputs, opset=20), inputs, rtol=1e-3, atol=1e-4)


def test_the_identity_grid_gives_the_input() -> None:
    x = weights(1, 2, 4, 5)
    theta = f32([1, 0, 0, 0, 1, 0]).reshape(1, 2, 3)
    (grid,) = AffineGrid((4, 5)).evaluate([theta], [])
    (y,) = GridSample().evaluate([x, grid], [])
    np.testing.assert_allclose(y, x, atol=1e-5)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 1, 2])
@pytest.mark.parametrize("kind", ["half_pixel", "output_half_pixel"])
def test_roi_align(mode: str, samples: int, kind: str) -> None:
    inputs = {
        "x": weights(2, 3, 9, 10),
        "r": f32([0, 0, 8, 8, 3.5, 2, 17, 15, -4, 1, 6, 30, 5, 5, 5.2, 5.1]).reshape(4, 4),
        "b": i64([0, 1, 1, 0]),
    }
    pool = node(
        "RoiAlign",
        "x r b",
        "y",
        output_height=3,
        output_width=2,
        spatial_scale=0.5,
        sampling_ratio=samples,
        mode=mode,
        coordinate_transformation_mode=kind,
    )
    assert_whole_matches(whole_model([pool], inputs, opset=16), inputs, rtol=1e-4)


@FEW
@given(st.integers(1, 2), st.integers(1, 2), st.integers(0, 1), st.integers(1, 2), st.booleans())
def test_deform_conv(group: int, offsets: int, pad: int, stride: int, masked: bool) -> None:
    e = [(d + 2 * pad - 2) // stride + 1 for d in (6, 5)]
    inputs = {
        "x": weights(2, 4, 6, 5),
        "w": weights(4, 4 // group, 2, 2, seed=1),
        "o": weights(2, offsets * 8, *e, seed=2),
    }
    names = "x w o"
    if masked:
        inputs["m"] = weights(2, offsets * 4, *e, seed=3)
        names = "x w o _ m"
    conv = node(
        "DeformConv",
        names,
        "y",
        group=group,
        offset_group=offsets,
        pads=[pad] * 4,
        strides=[stride] * 2,
    )
    assert_whole_matches(whole_model([conv], inputs, opset=19), inputs, rtol=1e-3, atol=1e-4)


def test_gather() -> None:
    x = np.arange(24).reshape(1, 2, 3, 4)
    assert gather(x, i64([0, 1, 2, 3]).reshape(1, 2, 2)).tolist() == [[[1, 11], [13, 23]]]


def test_operands_are_checked() -> None:
    x, grid = TensorType(DType.F32, (1, 2, 4, 5)), TensorType(DType.F32, (1, 3, 3, 3))
    with pytest.raises(OpError, match="the grid"):
        GridSample().infer([x, grid])
    with pytest.raises(OpError, match="does not fit 2 axes"):
        AffineGrid((4, 5)).infer([TensorType(DType.F32, (1, 3, 4))])
    w = TensorType(DType.F32, (1, 2, 2, 2))
    with pytest.raises(OpError, match="offsets must be"):
        DeformConv((1, 1), (0,) * 4, (1, 1)).infer([x, w, x])
    with pytest.raises(OpError, match="regions"):
        RoiAlign((2, 2)).infer([x, x, x])
