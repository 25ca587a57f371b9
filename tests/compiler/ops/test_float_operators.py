"""Products, element-wise functions and normalization against onnxruntime, by operator set."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_models import Shape, assert_matches, f32, model, node, weights

from imcc.compiler.ir import Array
from imcc.compiler.ir.ops.math import erf


@settings(max_examples=60, deadline=None)
@given(
    st.booleans(),
    st.sampled_from([1.0, 0.5, -2.0]),
    st.sampled_from([1.0, 0.0, 0.25]),
    st.sampled_from([None, (), (1,), (5,), (1, 1), (1, 5)]),
    st.sampled_from([7, 9, 11, 13, 17]),
)
def test_gemm(
    transposed: bool, alpha: float, beta: float, bias: tuple[int, ...] | None, opset: int
) -> None:
    constants = {"w": weights(*((5, 4) if transposed else (4, 5)))}
    if bias is not None or opset < 11:  # before operator set 11 the bias was obligatory
        constants["b"] = weights(*((5,) if bias is None else bias), seed=2)
    gemm = node(
        "Gemm", "x w b" if "b" in constants else "x w", "y",
        transB=int(transposed), alpha=alpha, beta=beta,
    )  # fmt: skip
    graph = assert_matches(model([gemm], {"x": ["N", 4]}, constants, opset=opset))
    assert [n.op.name for n in graph.nodes] == ["matmul"]


def test_gemm_with_computed_bias() -> None:
    nodes = [node("Relu", "c", "r"), node("Gemm", "x w r", "y", alpha=0.5, beta=2.0)]
    assert_matches(model(nodes, {"x": ["N", 4], "c": ["N", 5]}, {"w": weights(4, 5)}))


@pytest.mark.parametrize(
    ("x", "w"),
    [
        (["N", 4], (4, 3)),
        (["N", 5, 4], (4, 3)),
        (["N", 2, 5, 4], (4, 3)),
        (["N", 5, 4], (1, 4, 3)),
        (["N", 5, 4], (4,)),
    ],
)
def test_matmul_with_constant_on_the_right(x: list[int | str], w: tuple[int, ...]) -> None:
    assert_matches(model([node("MatMul", "x w", "y")], {"x": x}, {"w": weights(*w)}))


@pytest.mark.parametrize("x", [["N", 4, 6], ["N", 2, 4, 6]])
def test_matmul_with_constant_on_the_left(x: list[int | str]) -> None:
    assert_matches(model([node("MatMul", "w x", "y")], {"x": x}, {"w": weights(3, 4)}))


@pytest.mark.parametrize("op_type", ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Neg"])
@pytest.mark.parametrize("opset", [7, 13, 21])
def test_unary(op_type: str, opset: int) -> None:
    assert_matches(model([node(op_type, "x", "y")], {"x": ["N", 7, 9]}, opset=opset))


def test_unary_attributes() -> None:
    nodes = [
        node("LeakyRelu", "x", "a", alpha=0.3),
        node("HardSigmoid", "a", "b", alpha=0.15, beta=0.4),
        node("HardSwish", "b", "c"),
        node("PRelu", "c s", "y"),
    ]
    assert_matches(model(nodes, {"x": ["N", 50]}, {"s": f32([0.2])}))


@pytest.mark.parametrize(
    ("opset", "nodes"),
    [
        (7, [node("Clip", "x", "y", min=-0.5, max=0.75)]),
        (7, [node("Clip", "x", "y", max=0.75)]),
        (11, [node("Clip", "x low high", "y")]),
        (12, [node("Clip", "x _ high", "y")]),
        (13, [node("Clip", "x low", "y")]),
        (13, [node("Max", "x low", "a"), node("Min", "high a", "y")]),
    ],
)
def test_clip(opset: int, nodes: list[object]) -> None:
    bounds = {"low": f32(-0.5), "high": f32(0.75)}
    assert_matches(model(nodes, {"x": ["N", 40]}, bounds, opset=opset))  # type: ignore[arg-type]


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3, 1, 1), (1, 3, 1, 1), (5,), (4, 5)])
def test_arithmetic_with_constants(op_type: str, flipped: bool, shape: tuple[int, ...]) -> None:
    constant: Array = np.random.default_rng(3).uniform(0.5, 2, shape).astype(np.float32)
    arithmetic = node(op_type, "c a" if flipped else "a c", "y")
    nodes = [node("Sigmoid", "x", "a"), arithmetic]
    assert_matches(model(nodes, {"x": ["N", 3, 4, 5]}, {"c": constant}))


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("other", [["N", 3, 4, 5], ["N", 1, 4, 5], ["N", 3, 1, 1]])
def test_arithmetic_of_computed_values(op_type: str, other: list[int | str]) -> None:
    nodes = [node("Sigmoid", "b", "s"), node(op_type, "a s", "y")]
    assert_matches(model(nodes, {"a": ["N", 3, 4, 5], "b": other}))


def test_operands_of_fewer_axes_are_lifted_for_single_samples() -> None:
    proto = model([node("Mul", "a b", "y")], {"a": [1, 3, 4, 5], "b": [1, 5]})
    assert_matches(proto, batch=1)


def test_sum_of_many() -> None:
    inputs: dict[str, Shape] = {name: ["N", 4] for name in "abc"}
    assert_matches(model([node("Sum", "a b c k", "y")], inputs, {"k": weights(4)}))


@pytest.mark.parametrize("opset", [7, 9, 13, 15])
@pytest.mark.parametrize("shape", [["N", 5], ["N", 5, 4], ["N", 5, 4, 3]])
def test_batch_normalization(opset: int, shape: list[int | str]) -> None:
    constants = {name: weights(5, seed=i) for i, name in enumerate("sbm")}
    constants["v"] = np.abs(weights(5, seed=9)) + f32(0.1)
    norm = node("BatchNormalization", "x s b m v", "y", epsilon=1e-3)
    assert_matches(model([norm], {"x": shape}, constants, opset=opset), rtol=1e-4)


@pytest.mark.parametrize(
    ("opset", "axis"), [(7, None), (7, 2), (11, 1), (12, -1), (13, None), (13, 1), (21, 2)]
)
def test_softmax(opset: int, axis: int | None) -> None:
    attributes = {} if axis is None else {"axis": axis}
    softmax = node("Softmax", "x", "y", **attributes)
    assert_matches(model([softmax], {"x": ["N", 3, 4, 5]}, opset=opset))


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=50))
def test_error_function_is_that_of_the_c_library(values: list[float]) -> None:
    expected = np.array([math.erf(value) for value in values])
    np.testing.assert_array_max_ulp(erf(np.array(values)), expected, 2)


def test_error_function_at_its_ends() -> None:
    found = erf(np.array([np.inf, -np.inf, np.nan, -0.0]))
    np.testing.assert_array_equal(found, [1.0, -1.0, np.nan, -0.0])
    assert np.signbit(found[3])
