"""Zeros between elements, in floats and on codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import weights

from imcc.compiler.ir import (
    DType,
    GraphBuilder,
    OpError,
    QuantParams,
    TensorType,
    evaluate,
    parse_graph,
    print_graph,
)
from imcc.compiler.ir.ops.dilate import Dilate


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3))
def test_elements_are_apart_and_zeros_between(axes: list[tuple[int, int]]) -> None:
    extents, strides = (tuple(column) for column in zip(*axes, strict=True))
    x = weights(2, 3, *extents)
    builder = GraphBuilder("dilate")
    value = builder.input("x", TensorType(DType.F32, (1, 3, *extents)))
    graph = builder.finish([builder.add(Dilate(strides), [value], "y")], ["y"])
    assert parse_graph(print_graph(graph)).nodes == graph.nodes
    y = evaluate(graph, {"x": x})["y"]
    assert y.shape == (2, 3, *((d - 1) * s + 1 for d, s in axes))
    places = [slice(None), slice(None), *(slice(None, None, s) for s in strides)]
    np.testing.assert_array_equal(y[tuple(places)], x)
    assert np.count_nonzero(y) == np.count_nonzero(x)


def test_a_zero_of_codes_is_the_zero_point() -> None:
    type_ = TensorType(DType.U8, (1, 1, 2), QuantParams((0.5,), (7,)))
    (y,) = Dilate((3,)).evaluate([np.array([[[1, 2]]], np.uint8)], [type_])
    np.testing.assert_array_equal(y, [[[1, 7, 7, 2]]])


def test_strides_are_checked() -> None:
    x = TensorType(DType.F32, (1, 2, 3))
    with pytest.raises(OpError, match="strides has 2 elements, needed are 1"):
        Dilate((1, 2)).infer([x])
    with pytest.raises(OpError, match="each must be at least 1"):
        Dilate((0,)).infer([x])
