"""Convolution and pooling against onnxruntime, over random attributes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.onnx_models import Shape, assert_matches, model, node, weights

from imcc.compiler.ir import OpError, TensorType
from imcc.compiler.ir.ops.linear import Conv
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=60, deadline=None)


@st.composite
def windows(draw: st.DrawFn, largest_rank: int = 3) -> dict[str, list[int]]:
    rank = draw(st.integers(1, largest_rank))
    small = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    kernel = draw(small)
    pads = [draw(st.integers(0, k - 1)) for k in [*kernel, *kernel]]
    return {
        "spatial": draw(st.lists(st.integers(3, 8), min_size=rank, max_size=rank)),
        "kernel_shape": kernel,
        "strides": draw(small),
        "dilations": draw(small),
        "pads": pads,
    }


def fits(w: dict[str, list[int]]) -> bool:
    rank = len(w["spatial"])
    return all(
        (w["kernel_shape"][i] - 1) * w["dilations"][i] + 1
        <= w["spatial"][i] + w["pads"][i] + w["pads"][rank + i]
        for i in range(rank)
    )


def images(spatial: list[int]) -> dict[str, Shape]:
    return {"x": ["N", 3, *spatial]}


@FEW
@given(windows(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.booleans())
def test_conv(w: dict[str, list[int]], group: int, per_group: int, out: int, bias: bool) -> None:
    assume(fits(w))
    spatial = w.pop("spatial")
    constants = {"w": weights(group * out, per_group, *w["kernel_shape"])}
    if bias:
        constants["b"] = weights(group * out, seed=2)
    conv = node("Conv", "x w b" if bias else "x w", "y", group=group, **w)
    shape: Shape = ["N", group * per_group, *spatial]
    assert_matches(model([conv], {"x": shape}, constants), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("opset", [7, 11, 22])
def test_conv_auto_pad(auto_pad: str, stride: int, opset: int) -> None:
    conv = node("Conv", "x w", "y", auto_pad=auto_pad, strides=[stride, 1])
    proto = model([conv], {"x": ["N", 3, 7, 6]}, {"w": weights(4, 3, 3, 2)}, opset=opset)
    assert_matches(proto, rtol=1e-4)


@FEW
@given(windows(), st.booleans())
def test_max_pool(w: dict[str, list[int]], ceil: bool) -> None:
    assume(fits(w))
    spatial = w.pop("spatial")
    pool = node("MaxPool", "x", "y", ceil_mode=int(ceil), **w)
    assert_matches(model([pool], images(spatial)))


@FEW
@given(windows(), st.booleans(), st.booleans())
def test_average_pool(w: dict[str, list[int]], ceil: bool, include: bool) -> None:
    w["dilations"] = [1] * len(w["spatial"])
    assume(fits(w))
    del w["dilations"]
    spatial = w.pop("spatial")
    pool = node("AveragePool", "x", "y", ceil_mode=int(ceil), count_include_pad=int(include), **w)
    assert_matches(model([pool], images(spatial), opset=19))


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("opset", [7, 10, 21])
def test_pool_auto_pad(op_type: str, auto_pad: str, opset: int) -> None:
    pool = node(op_type, "x", "y", auto_pad=auto_pad, kernel_shape=[3, 2], strides=[2, 2])
    assert_matches(model([pool], {"x": ["N", 2, 8, 7]}, opset=opset))


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("spatial", [[9], [5, 4], [2, 3, 4]])
def test_global_pool(op_type: str, spatial: list[int]) -> None:
    assert_matches(model([node(op_type, "x", "y")], images(spatial)))


def test_a_window_over_the_whole_input_is_the_global_mean() -> None:
    pool = node("AveragePool", "x", "y", kernel_shape=[5, 4])
    graph = assert_matches(model([pool], {"x": ["N", 3, 5, 4]}))
    assert [n.op.name for n in graph.nodes] == ["global_average_pool"]


def test_large_batches_are_convolved_in_parts() -> None:
    conv = node("Conv", "x w", "y", pads=[1, 1, 1, 1])
    proto = model([conv], {"x": ["N", 8, 32, 32]}, {"w": weights(4, 8, 3, 3)})
    assert_matches(proto, batch=130, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("x", "w", "text"),
    [
        ((1, 3, 8, 8), (4, 2, 3, 3), "operand 0 has 3 channels, the weights [4, 2, 3, 3] take 2"),
        ((1, 3, 2, 8), (4, 3, 3, 3), "the kernel spans 3 elements of spatial axis 0, which has 2"),
        ((1, 3, 8), (4, 3, 3, 3), "kernel has 2 spatial axes, operand 0 has 1"),
    ],
)
def test_conv_says_what_does_not_fit(x: tuple[int, ...], w: tuple[int, ...], text: str) -> None:
    conv = Conv((1, 1), (0, 0, 0, 0), (1, 1), 1)
    with pytest.raises(OpError) as caught:
        conv.infer([TensorType(DType.F32, x), TensorType(DType.F32, w)])
    assert text in str(caught.value)


def test_max_pool_works_on_codes() -> None:
    from imcc.compiler.ir.ops.pooling import MaxPool

    pool = MaxPool((2,), (1,), (1, 0), (1,))
    codes = np.array([[[0, 3, 255, 7]]], np.uint8)
    (found,) = pool.evaluate([codes], [TensorType(DType.U8, (1, 1, 4))])
    assert found.tolist() == [[[0, 3, 255, 255]]]
    assert found.dtype == np.uint8
