"""Operators that move elements, against onnxruntime, over the operator sets that changed them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto
from support.onnx_models import Shape, assert_matches, f32, i64, model, node, samples, weights

from imcc.compiler.ir import Array, QuantParams, TensorType, evaluate
from imcc.compiler.ir.ops.shape import Pad
from imcc.compiler.ir.types import DType


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


@pytest.mark.parametrize("target", [(0, -1), (-1, 60), (0, 0, 20), (0, 2, -1, 6), (-1, 3, 4, 5)])
def test_reshape_with_free_batch(target: tuple[int, ...]) -> None:
    reshape = node("Reshape", "x s", "y")
    assert_matches(model([reshape], {"x": ["N", 3, 4, 5]}, {"s": ints(*target)}))


@pytest.mark.parametrize("target", [(1, -1), (1, 60), (1, 3, 20), (-1, 60)])
def test_reshape_of_single_samples(target: tuple[int, ...]) -> None:
    reshape = node("Reshape", "x s", "y")
    assert_matches(model([reshape], {"x": [1, 3, 4, 5]}, {"s": ints(*target)}), batch=1)


@pytest.mark.parametrize("target", [(8, -1), (8, 60), (-1, 60), (0, 60)])
def test_reshape_of_a_fixed_batch(target: tuple[int, ...]) -> None:
    reshape = node("Reshape", "x s", "y")
    assert_matches(model([reshape], {"x": [8, 3, 4, 5]}, {"s": ints(*target)}), batch=8)


def test_reshape_by_shape_arithmetic() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Unsqueeze", "n axes", "n1"),
        node("Concat", "n1 rest", "target", axis=0),
        node("Reshape", "x target", "y"),
    ]
    constants = {"zero": i64(0), "axes": ints(0), "rest": ints(-1)}
    graph = assert_matches(model(nodes, {"x": ["N", 3, 4]}, constants))
    assert [n.op.name for n in graph.nodes] == ["reshape"]


@pytest.mark.parametrize(
    ("opset", "nodes"),
    [
        (7, [node("Flatten", "x", "y")]),
        (13, [node("Flatten", "x", "y", axis=1)]),
        (7, [node("Transpose", "x", "y", perm=[0, 3, 1, 2])]),
        (7, [node("Unsqueeze", "x", "a", axes=[2, 4]), node("Squeeze", "a", "y", axes=[4])]),
        (11, [node("Unsqueeze", "x", "y", axes=[-1])]),
        (13, [node("Unsqueeze", "x new", "a"), node("Squeeze", "a new", "y")]),
        (21, [node("Unsqueeze", "x new", "y")]),
        (11, [node("Identity", "x", "i"), node("Dropout", "i", "y", ratio=0.3)]),
        (13, [node("Dropout", "x ratio", "a"), node("Cast", "a", "y", to=1)]),
    ],
)
def test_shape_operators(opset: int, nodes: list[NodeProto]) -> None:
    constants = {"new": ints(2), "ratio": f32(0.5)}
    if opset < 13:
        constants = {}
    assert_matches(model(nodes, {"x": ["N", 3, 4, 5]}, constants, opset=opset))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 3]), unique=True, min_size=1),
    st.lists(st.integers(-7, 7), min_size=3, max_size=3),
    st.lists(st.integers(-7, 7), min_size=3, max_size=3),
    st.lists(st.sampled_from([1, 2, 3, -1, -2]), min_size=3, max_size=3),
)
def test_slice(axes: list[int], starts: list[int], ends: list[int], steps: list[int]) -> None:
    count = len(axes)
    kept = [
        len(range(*slice(b, e, s).indices(extent)))
        for b, e, s, extent in zip(starts, ends, steps, [6, 6, 6], strict=True)
    ]
    if 0 in kept[:count]:
        return
    constants = {
        "b": ints(*starts[:count]), "e": ints(*ends[:count]),
        "a": ints(*axes), "s": ints(*steps[:count]),
    }  # fmt: skip
    assert_matches(model([node("Slice", "x b e a s", "y")], {"x": ["N", 6, 6, 6]}, constants))


def test_slice_by_attributes() -> None:
    cut = node("Slice", "x", "y", starts=[1, -3], ends=[1000, -1], axes=[2, 3])
    assert_matches(model([cut], {"x": ["N", 3, 4, 5]}, opset=9))


@pytest.mark.parametrize("reverse_end", [-100, -(2**63)])
def test_slice_backwards_to_the_first_element(reverse_end: int) -> None:
    constants = {"b": ints(-1), "e": ints(reverse_end), "a": ints(1), "s": ints(-1)}
    assert_matches(model([node("Slice", "x b e a s", "y")], {"x": ["N", 6]}, constants))


@pytest.mark.parametrize(
    ("opset", "nodes"),
    [
        (7, [node("Pad", "x", "y", pads=[0, 1, 0, 2, 0, 0, 3, 1], value=1.5)]),
        (11, [node("Pad", "x p v", "y")]),
        (13, [node("Pad", "x p", "y")]),
        (18, [node("Pad", "x p3 v a", "y")]),
        (13, [node("Pad", "x negative", "y")]),
    ],
)
def test_pad(opset: int, nodes: list[NodeProto]) -> None:
    constants: dict[str, Array] = {
        "p": ints(0, 1, 0, 2, 0, 0, 3, 1), "v": f32(-2), "a": ints(3, -2),
        "p3": ints(1, 2, 3, 0), "negative": ints(0, 0, -1, 2, 0, -1, -1, 0),
    }  # fmt: skip
    used = {name for n in nodes for name in n.input}
    constants = {name: array for name, array in constants.items() if name in used}
    assert_matches(model(nodes, {"x": ["N", 3, 4, 5]}, constants, opset=opset))


def test_pad_of_codes_is_the_code_of_the_value() -> None:
    type_ = TensorType(DType.U8, (1, 2), QuantParams((0.5,), (10,)))
    (found,) = Pad((0, 1), (0, 0), 2.0).evaluate([np.array([[1, 2]], np.uint8)], [type_])
    assert found.tolist() == [[14, 1, 2]]


@pytest.mark.parametrize("axis", [1, -1, 2])
def test_concat(axis: int) -> None:
    inputs: dict[str, Shape] = {"x": ["N", 4, 4], "z": ["N", 4, 4]}
    assert_matches(model([node("Concat", "x z x", "y", axis=axis)], inputs))


def test_concat_repeats_a_constant_for_every_sample() -> None:
    concat = model([node("Concat", "x k", "y", axis=1)], {"x": ["N", 4]}, {"k": weights(1, 3)})
    graph = assert_matches(concat, batch=1)
    inputs = samples(graph, 5)
    (found,) = evaluate(graph, inputs).values()
    expected = np.concatenate([inputs["x"], np.repeat(weights(1, 3), 5, axis=0)], axis=1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("opset", "split"),
    [
        (7, node("Split", "x", "a b", axis=1, split=[2, 4])),
        (11, node("Split", "x", "a b", axis=-2)),
        (13, node("Split", "x parts", "a b", axis=1)),
        (18, node("Split", "x", "a b", axis=1, num_outputs=2)),
    ],
)
def test_split(opset: int, split: NodeProto) -> None:
    nodes = [split, node("Relu", "b", "r")]
    constants = {"parts": ints(2, 4)} if "parts" in split.input else {}
    assert_matches(model(nodes, {"x": ["N", 6, 3]}, constants, outputs="a r", opset=opset))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1, 2], [3], [1], [1, 2, 3]])
@pytest.mark.parametrize("opset", [11, 18])
def test_reduce_mean(keepdims: int, axes: list[int], opset: int) -> None:
    if opset < 18:
        nodes, constants = [node("ReduceMean", "x", "y", axes=axes, keepdims=keepdims)], {}
    else:
        nodes, constants = [node("ReduceMean", "x a", "y", keepdims=keepdims)], {"a": ints(*axes)}
    assert_matches(model(nodes, {"x": ["N", 3, 4, 5]}, constants, opset=opset))
