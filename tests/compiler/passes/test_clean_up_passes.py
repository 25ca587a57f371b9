"""The clean-up passes: each rule fires where it should, and no result changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto
from support.onnx_models import Shape, f32, i64, model, node, run_onnxruntime, samples, weights

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, DType, Graph, GraphBuilder, TensorType, evaluate, verify
from imcc.compiler.ir.ops.linear import Conv
from imcc.compiler.ir.ops.shape import Pad
from imcc.compiler.passes import PassContext, Pipeline

IMAGE: dict[str, Shape] = {"x": ["N", 3, 6, 5]}


def after(
    passes: str,
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Shape],
    constants: Mapping[str, Array] | None = None,
    *,
    outputs: str = "y",
    context: PassContext | None = None,
) -> Graph:
    """The graph after the passes, whose outputs equal those of onnxruntime on the model."""
    proto = model(nodes, inputs, constants, outputs=outputs)
    graph = Pipeline.parse(passes).run(import_onnx(proto), context or PassContext())
    verify(graph)
    given_ = samples(graph)
    found = evaluate(graph, given_)
    expected = run_onnxruntime(proto, given_)
    for name, array in zip(graph.output_names, expected, strict=True):
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)
    return graph


def names(graph: Graph) -> list[str]:
    return [n.op.name for n in graph.nodes]


def statistics(channels: int) -> dict[str, Array]:
    found = {name: weights(channels, seed=i) for i, name in enumerate("sbm")}
    found["v"] = np.abs(weights(channels, seed=7)) + f32(0.1)
    return found


NORM = node("BatchNormalization", "p s b m v", "y", epsilon=1e-3)


# -- fold-constants ----------------------------------------------------------------------------


def test_fold_constants_computes_what_depends_on_no_input() -> None:
    nodes = [node("Relu", "k", "r"), node("Sigmoid", "r", "t"), node("Mul", "x t", "y")]
    graph = after("fold-constants", nodes, IMAGE, {"k": weights(1, 3, 6, 5)})
    assert names(graph) == ["mul"]


def test_fold_constants_respects_its_limit_and_says_so() -> None:
    context = PassContext()
    nodes = [node("Relu", "k", "r"), node("Mul", "x r", "y")]
    constants = {"k": weights(1, 3, 6, 5)}
    graph = after("fold-constants{limit=300}", nodes, IMAGE, constants, context=context)
    assert names(graph) == ["relu", "mul"]
    assert context.notes == ["Relu_0: not folded: its 360 bytes exceed the limit of 300"]


# -- fold-batch-norm ---------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("group", [1, 3])
def test_batch_norm_folds_into_convolution(bias: bool, group: int) -> None:
    constants = statistics(6) | {"w": weights(6, 3 // group, 3, 3), "c": weights(6, seed=4)}
    conv = node("Conv", "x w c" if bias else "x w", "p", group=group, name="conv")
    graph = after("fold-batch-norm", [conv, NORM], IMAGE, constants)
    assert names(graph) == ["conv"]
    assert graph.nodes[0].origin == ("conv", "BatchNormalization_1")


@pytest.mark.parametrize("bias", [False, True])
def test_batch_norm_folds_into_matrix_product(bias: bool) -> None:
    constants = statistics(6) | {"w": weights(4, 6), "c": weights(6, seed=4)}
    gemm = node("Gemm", "x w c" if bias else "x w", "p")
    assert names(after("fold-batch-norm", [gemm, NORM], {"x": ["N", 4]}, constants)) == ["matmul"]


def test_batch_norm_stays_where_the_product_has_another_user() -> None:
    context = PassContext()
    nodes = [node("Conv", "x w", "p"), NORM, node("Relu", "p", "z")]
    constants = statistics(6) | {"w": weights(6, 3, 3, 3)}
    graph = after("fold-batch-norm", nodes, IMAGE, constants, outputs="y z", context=context)
    assert names(graph) == ["conv", "batch_normalization", "relu"]
    assert context.notes[0].startswith("BatchNormalization_1: not folded: no product")


def test_batch_norm_stays_where_the_product_is_an_output() -> None:
    constants = statistics(6) | {"w": weights(6, 3, 3, 3)}
    nodes = [node("Conv", "x w", "p"), NORM]
    graph = after("fold-batch-norm", nodes, IMAGE, constants, outputs="y p")
    assert names(graph) == ["conv", "batch_normalization"]


def test_batch_norm_stays_where_axis_1_counts_rows() -> None:
    constants = statistics(5) | {"w": weights(4, 6)}
    nodes = [node("MatMul", "x w", "p"), NORM]
    graph = after("fold-batch-norm", nodes, {"x": ["N", 5, 4]}, constants)
    assert names(graph) == ["matmul", "batch_normalization"]


# -- lower-batch-norm --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[4], [4, 7], [4, 3, 2], [4, 2, 3, 2], [4, 2, 1, 3, 2]])
def test_batch_norm_alone_becomes_a_depthwise_convolution(shape: list[int]) -> None:
    nodes = [node("Relu", "x", "p"), NORM]
    graph = after("lower-batch-norm", nodes, {"x": ["N", *shape]}, statistics(4))
    assert [n for n in names(graph) if n != "reshape"] == ["relu", "conv"]


@pytest.mark.parametrize("op_type", ["Mul", "Add"])
def test_per_channel_arithmetic_becomes_a_depthwise_convolution(op_type: str) -> None:
    nodes = [node("Relu", "x", "r"), node(op_type, "k r", "y")]
    graph = after("lower-batch-norm", nodes, IMAGE, {"k": weights(3, 1, 1)})
    assert names(graph) == ["relu", "conv"]


def test_scale_and_offset_become_one_convolution() -> None:
    nodes = [node("Relu", "x", "r"), node("Mul", "r k", "a"), node("Add", "a k", "y")]
    graph = after("lower-batch-norm", nodes, IMAGE, {"k": weights(1, 3, 1, 1)})
    assert names(graph) == ["relu", "conv"]


def test_arithmetic_along_other_axes_stays() -> None:
    nodes = [node("Relu", "x", "r"), node("Mul", "r k", "y")]
    graph = after("lower-batch-norm", nodes, IMAGE, {"k": weights(5)})
    assert names(graph) == ["relu", "mul"]


# -- canonicalize ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([node("Add", "x zero", "y")], []),
        ([node("Clip", "x", "y")], []),
        ([node("GlobalAveragePool", "x", "a"), node("GlobalAveragePool", "a", "y")],
         ["global_average_pool"]),
        ([node("Transpose", "x", "a", perm=[0, 2, 3, 1]),
          node("Transpose", "a", "y", perm=[0, 3, 1, 2])], []),
        ([node("Transpose", "x", "a", perm=[0, 2, 3, 1]),
          node("Transpose", "a", "y", perm=[0, 2, 3, 1])], ["transpose"]),
        ([node("Reshape", "x flat", "a"), node("Reshape", "a image", "y")], []),
        ([node("Reshape", "x flat", "a"), node("Reshape", "a rows", "y")], ["reshape"]),
        ([node("Relu", "x", "a"), node("Clip", "a _ six", "y")], ["clip"]),
        ([node("Clip", "x six", "a"), node("Relu", "a", "y")], ["clip"]),
        ([node("Relu", "x", "a"), node("Relu", "a", "y")], ["relu"]),
        ([node("Clip", "x zero", "y")], ["relu"]),
        ([node("Mul", "x six", "a"), node("Add", "a six", "y")], ["affine"]),
        ([node("Sub", "x vector", "y")], ["add"]),
        ([node("Div", "x vector", "y")], ["mul"]),
    ],
)  # fmt: skip
def test_canonical_form(nodes: list[NodeProto], left: list[str]) -> None:
    constants = {
        "zero": f32(0), "six": f32(0.6), "flat": i64([0, -1]),
        "image": i64([-1, 3, 6, 5]), "rows": i64([0, 18, 5]),
        "vector": weights(5) + f32(5),
    }  # fmt: skip
    assert names(after("canonicalize", nodes, IMAGE, constants)) == left


def test_a_transpose_of_single_extents_is_a_reshape() -> None:
    turn = node("Transpose", "x", "y", perm=[0, 3, 1, 2])
    assert names(after("canonicalize", [turn], {"x": ["N", 6, 5, 1]})) == ["reshape"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "scale",
    [
        [node("Add", "p k", "y")],
        [node("Mul", "k p", "y")],
        [node("Sub", "p k", "a"), node("Div", "a k", "y")],
        [node("Mul", "p two", "a"), node("Add", "a two", "y")],
    ],
)
def test_scales_and_offsets_go_into_products(bias: bool, scale: list[NodeProto]) -> None:
    constants = {
        "w": weights(4, 3, 3, 2), "m": weights(5, 4), "k": weights(4) + f32(4),
        "c": weights(4, seed=5), "two": f32(2.5),
    }  # fmt: skip
    tail = " c" if bias else ""
    gemm = [node("Gemm", "x m" + tail, "p"), *scale]
    assert names(after("canonicalize", gemm, {"x": ["N", 5]}, constants)) == ["matmul"]
    constants["k"] = constants["k"].reshape(4, 1, 1)
    conv = [node("Conv", "x w" + tail, "p"), *scale]
    assert names(after("canonicalize", conv, IMAGE, constants)) == ["conv"]


def test_constants_along_another_axis_stay_outside_products() -> None:
    constants = {"w": weights(4, 3, 3, 3), "k": weights(3)}
    graph = after("canonicalize", [node("Conv", "x w", "p"), node("Mul", "p k", "y")], IMAGE,
                  constants)  # fmt: skip
    assert names(graph) == ["conv", "mul"]


PADS = st.lists(st.integers(0, 2), min_size=8, max_size=8)


@settings(max_examples=40, deadline=None)
@given(PADS, st.sampled_from(["Conv", "AveragePool", "CountingPool", "MaxPool"]), st.booleans())
def test_padding_before_windows(pads: list[int], kind: str, low: bool) -> None:
    pads[0] = pads[4] = 0
    if kind == "Conv":
        pads[1] = pads[5] = 0
    window = {
        "Conv": node("Conv", "p w", "y", pads=[0, 1, 1, 0]),
        "AveragePool": node("AveragePool", "p", "y", kernel_shape=[3, 3]),
        "CountingPool": node("AveragePool", "p", "y", kernel_shape=[2, 3], pads=[1, 0, 0, 1],
                             count_include_pad=1),
        "MaxPool": node("MaxPool", "p", "y", kernel_shape=[3, 3]),
    }[kind]  # fmt: skip
    constants = {
        "pads": i64(pads), "w": weights(2, 3, 3, 3),
        "value": f32(-np.inf if kind == "MaxPool" else 1 if low else 0),
    }  # fmt: skip
    nodes = [node("Pad", "x pads value", "p"), window]
    graph = after("canonicalize", nodes, IMAGE, constants)
    merges = not any(pads) or (not (pads[1] or pads[5]) and (kind == "MaxPool" or not low))
    assert ("pad" in names(graph)) != merges


def test_padding_that_is_not_counted_stays() -> None:
    pool = node("AveragePool", "p", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    constants = {"pads": i64([0, 0, 1, 1, 0, 0, 1, 1])}
    graph = after("canonicalize", [node("Pad", "x pads", "p"), pool], IMAGE, constants)
    assert names(graph) == ["pad", "average_pool"]


def test_what_cuts_away_is_no_padding() -> None:
    builder = GraphBuilder("cut")
    x = builder.input("x", TensorType(DType.F32, (1, 2, 5, 5)))
    cut = builder.add(Pad((0, 0, -1, 1), (0, 0, 0, 0)), [x], "cut")
    filters = builder.constant(weights(3, 2, 2, 2), "w")
    conv = builder.add(Conv((1, 1), (0, 0, 0, 0), (1, 1), 1), [cut, filters], "y")
    graph = Pipeline.parse("canonicalize").run(builder.finish([conv], ["y"]), PassContext())
    assert names(graph) == ["pad", "conv"]


def test_rules_follow_from_one_another_in_one_run() -> None:
    nodes = [
        node("Identity", "x", "i"),
        node("Pad", "i pads", "a"),
        node("Conv", "a w", "conv"),
        node("Add", "conv zero", "c"),
        node("Mul", "c k", "p"),
        NORM,
    ]
    constants = statistics(4) | {
        "pads": i64([0, 0, 1, 1, 0, 0, 1, 1]), "w": weights(4, 3, 3, 3),
        "k": weights(4, 1, 1), "zero": f32(0),
    }  # fmt: skip
    graph = after("canonicalize,fold-batch-norm", nodes, IMAGE, constants)
    assert names(graph) == ["conv"]
    assert graph.nodes[0].origin == ("Pad_1", "Conv_2", "Mul_4", "BatchNormalization_5")
