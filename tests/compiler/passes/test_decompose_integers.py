"""Integer products and quantization as real arithmetic, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from support.decomposed import decomposed, names
from support.onnx_models import f32, node, weights

from imcc.compiler.ir import Array

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 255, (2, 3, 6), np.uint8)
MATRIX = RNG.integers(-128, 127, (6, 4), np.int8)
ZERO = np.array([130], np.uint8)
INTEGER_OPS = {"matmul_integer", "conv_integer", "qlinear_matmul"}


@pytest.mark.parametrize("zeros", [np.array([3], np.int8), np.array([1, -2, 3, 0], np.int8)])
def test_product_of_integers(zeros: Array) -> None:
    constants = {"w": MATRIX, "a": ZERO, "b": zeros}
    graph = decomposed([node("MatMulInteger", "x w a b", "y")], {"x": ROWS}, constants)
    assert {"matmul", "cast"} <= set(names(graph))
    assert INTEGER_OPS.isdisjoint(names(graph))


def test_products_without_zero_points() -> None:
    graph = decomposed([node("MatMulInteger", "x w", "y")], {"x": ROWS}, {"w": MATRIX})
    assert names(graph) == ["cast", "matmul", "math", "cast"]


@pytest.mark.parametrize("group", [1, 2])
def test_convolution_of_integers(group: int) -> None:
    x = RNG.integers(0, 255, (2, 4, 5, 5), np.uint8)
    constants = {
        "w": RNG.integers(0, 255, (2, 4 // group, 3, 3), np.uint8),
        "a": np.array(17, np.uint8),
        "b": np.array([99], np.uint8),
    }
    op = node("ConvInteger", "x w a b", "y", pads=[1, 0, 2, 1], strides=[2, 1], group=group)
    assert names(decomposed([op], {"x": x}, constants)).count("conv") == 1


def test_product_of_stacks_to_codes() -> None:
    constants: dict[str, Array] = {
        **{"w": RNG.integers(0, 255, (2, 6, 3), np.uint8), "sx": f32([0.02]), "zx": ZERO},
        **{"sw": f32([0.01]), "zw": np.array([120], np.uint8), "sy": f32([0.05]), "zy": ZERO},
    }
    op = node("QLinearMatMul", "x sx zx w sw zw sy zy", "y")
    graph = decomposed([op], {"x": ROWS}, constants)
    assert INTEGER_OPS.isdisjoint(names(graph))


@pytest.mark.parametrize(
    ("scale", "zero", "attributes"),
    [
        (f32([0.1, 0.2, 0.4]), np.array([0, 3, -5], np.int8), {"axis": 1}),
        (
            np.abs(weights(2, 3, 2)) + 0.5,
            np.zeros((2, 3, 2), np.int8),
            {"axis": 2, "block_size": 3},
        ),
    ],
)
def test_parameters_of_axes_and_blocks(
    scale: Array, zero: Array, attributes: dict[str, int]
) -> None:
    constants = {"s": scale, "z": zero}
    quantize = node("QuantizeLinear", "x s z", "q", **attributes)
    graph = decomposed([quantize], {"x": weights(2, 3, 6)}, constants, outputs="q")
    assert names(graph)[-2:] == ["clip", "cast"]
    dequantize = node("DequantizeLinear", "x s z", "y", **attributes)
    codes = {"x": RNG.integers(-128, 127, (2, 3, 6), np.int8)}
    assert names(decomposed([dequantize], codes, constants))[-1] == "mul"


def test_sixteen_bits_stay() -> None:
    constants = {"s": f32(0.1), "z": np.array(5, np.uint16)}
    graph = decomposed([node("QuantizeLinear", "x s z", "y")], {"x": weights(2, 3)}, constants)
    assert names(graph) == ["quantize_linear"]
