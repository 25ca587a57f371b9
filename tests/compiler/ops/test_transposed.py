"""Transposed convolution and column sums against onnxruntime, over random attributes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.onnx_models import i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import OpError, TensorType, evaluate
from imcc.compiler.ir.ops.linear import Conv
from imcc.compiler.ir.ops.transposed import ConvTranspose
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=60, deadline=None)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, list[int]]:
    rank = draw(st.integers(1, 3))

    def some(low: int, high: int, size: int = rank) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=size, max_size=size))

    strides, dilations, kernel = some(1, 3), some(1, 2), some(1, 3)
    extra = [draw(st.integers(0, stride - 1)) for stride in strides]
    return {
        "spatial": some(1, 4),
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": dilations,
        "pads": some(0, 1, 2 * rank),
        "output_padding": extra,
    }


@FEW
@given(geometries(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.booleans())
def test_conv_transpose(
    g: dict[str, list[int]], group: int, per_group: int, out: int, bias: bool
) -> None:
    spatial = g.pop("spatial")
    whole = [
        stride * (extent - 1) + extra + (k - 1) * dilation + 1
        for extent, stride, extra, k, dilation in zip(
            spatial,
            g["strides"],
            g["output_padding"],
            g["kernel_shape"],
            g["dilations"],
            strict=True,
        )
    ]
    cut = [a + b for a, b in zip(g["pads"], g["pads"][len(spatial) :], strict=False)]
    assume(all(w > c for w, c in zip(whole, cut, strict=True)))
    inputs = {
        "x": weights(2, group * per_group, *spatial),
        "w": weights(group * per_group, out, *g["kernel_shape"], seed=2),
    }
    if bias:
        inputs["b"] = weights(group * out, seed=3)
    conv = node("ConvTranspose", "x w b" if bias else "x w", "y", group=group, **g)
    assert_whole_matches(whole_model([conv], inputs, opset=11), inputs, rtol=1e-4)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_auto_pad(auto_pad: str, kernel: int) -> None:
    inputs = {"x": weights(1, 2, 4, 5), "w": weights(2, 3, kernel, kernel, seed=2)}
    conv = node("ConvTranspose", "x w", "y", auto_pad=auto_pad, strides=[2, 3])
    assert_whole_matches(whole_model([conv], inputs, opset=11), inputs, rtol=1e-4)


def test_padding_to_the_same_extents_with_small_kernels() -> None:
    """ONNX wants ``stride`` times the extent, also where the kernel does not reach that far."""
    inputs = {"x": weights(1, 1, 3), "w": weights(1, 1, 1, seed=2)}
    conv = node("ConvTranspose", "x w", "y", auto_pad="SAME_UPPER", strides=[2])
    graph = import_onnx(whole_model([conv], inputs), batched=False)
    found = evaluate(graph, inputs)["y"]
    expected = np.zeros((1, 1, 6), np.float32)
    expected[:, :, ::2] = inputs["x"] * inputs["w"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [[10, 8], [9, 7], [8, 8], [7, 7]])
def test_output_shape(shape: list[int]) -> None:
    inputs = {"x": weights(1, 1, 3, 3), "w": weights(1, 2, 3, 3, seed=2)}
    conv = node("ConvTranspose", "x w", "y", output_shape=shape, strides=[3, 2])
    assert_whole_matches(whole_model([conv], inputs, opset=11), inputs, rtol=1e-4)


def test_it_is_the_adjoint_of_convolution() -> None:
    strides, pads, dilations = (2, 1), (1, 0, 1, 2), (1, 2)
    x, w = weights(1, 2, 6, 7), weights(3, 2, 3, 2, seed=2)
    types = [TensorType(DType.F32, a.shape) for a in (x, w)]
    conv = Conv(strides, pads, dilations)
    (y,) = conv.evaluate([x, w], types)
    z = weights(*y.shape, seed=3)
    back = ConvTranspose(strides, pads, dilations, (1, 0))
    (adjoint,) = back.evaluate([z, w], [])
    assert adjoint.shape == x.shape
    np.testing.assert_allclose(np.vdot(y, z), np.vdot(x, adjoint), rtol=1e-4)


@FEW
@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 1))
def test_col2im(kernel: int, stride: int, dilation: int, pad: int) -> None:
    image, kernels = (6, 5), (kernel, 2)
    counts = [
        (d + 2 * pad - (k - 1) * dilation - 1) // stride + 1
        for d, k in zip(image, kernels, strict=True)
    ]
    inputs = {"x": weights(2, 3 * kernel * 2, counts[0] * counts[1])}
    constants = {"image": i64(image), "block": i64(kernels)}
    attributes = {"strides": [stride] * 2, "dilations": [dilation] * 2, "pads": [pad] * 4}
    fold = node("Col2Im", "x image block", "y", **attributes)
    assert_whole_matches(whole_model([fold], inputs, constants, opset=18), inputs)


def test_padding_that_leaves_nothing() -> None:
    x, w = TensorType(DType.F32, (1, 1, 1, 1)), TensorType(DType.F32, (1, 1, 1, 1))
    with pytest.raises(OpError, match="leaves extents"):
        ConvTranspose((1, 1), (1, 0, 0, 0), (1, 1), (0, 0)).infer([x, w])
