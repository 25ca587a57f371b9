"""Integer products and quantization with computed parameters: onnxruntime byte for byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from support.onnx_models import f32, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.errors import UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, OpError, TensorType
from imcc.compiler.ir.ops.integer_products import (
    DequantizeLinear,
    MatMulInteger,
    QuantizeLinear,
    product_shape,
)
from imcc.compiler.ir.types import DType

FEW = settings(max_examples=40, deadline=None)
EXACT: dict[str, float] = {"rtol": 0, "atol": 0}


def codes(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> Array:
    limits = np.iinfo(dtype)
    random = np.random.default_rng(seed)
    return random.integers(limits.min, limits.max + 1, shape, dtype)


@FEW
@given(st.integers(0, 3), st.integers(0, 255), st.booleans())
def test_matmul_integer(given_zeros: int, zero: int, signed: bool) -> None:
    kind = np.int8 if signed else np.uint8
    inputs = {"a": codes(2, 3, 7), "b": codes(7, 5, dtype=kind, seed=1)}
    names = "a b"
    if given_zeros > 0:
        inputs["za"] = np.asarray(zero, np.uint8)
        names += " za"
    if given_zeros > 1:
        column = codes(5, dtype=kind, seed=2)
        inputs["zb"] = column if given_zeros == 3 else column[:1].reshape(())
        names += " zb"
    product = node("MatMulInteger", names, "y")
    assert_whole_matches(whole_model([product], inputs, opset=10), inputs, **EXACT)


@FEW
@given(st.integers(1, 2), st.integers(1, 2), st.integers(0, 1), st.integers(0, 255), st.booleans())
def test_conv_integer(group: int, stride: int, pad: int, zero: int, weight_zero: bool) -> None:
    inputs = {
        "x": codes(2, 4, 6, 5),
        "w": codes(4, 4 // group, 3, 2, seed=1),
        "zx": np.asarray(zero, np.uint8),
    }
    if weight_zero:
        inputs["zw"] = np.asarray(17, np.uint8)
    conv = node(
        "ConvInteger", " ".join(inputs), "y", group=group, strides=[stride] * 2, pads=[pad] * 4
    )
    assert_whole_matches(whole_model([conv], inputs, opset=10), inputs, **EXACT)


@FEW
@given(st.booleans(), st.booleans(), st.integers(0, 255), st.sampled_from([2.0, 30.0, 200.0]))
def test_qlinear_conv(per_channel: bool, bias: bool, zero: int, y_scale: float) -> None:
    inputs = {"x": codes(2, 3, 6, 6)}
    scales = np.abs(weights(4, seed=3)) + np.float32(0.01)
    constants = {
        "sx": f32(0.3),
        "zx": np.asarray(zero, np.uint8),
        "w": codes(4, 3, 3, 3, dtype=np.int8, seed=1),
        "sw": scales if per_channel else scales[:1].reshape(()),
        "zw": np.zeros(4 if per_channel else (), np.int8),
        "sy": f32(y_scale),
        "zy": np.asarray(100, np.uint8),
    }
    names = ["x", *constants]
    if bias:
        constants["b"] = np.array([-3000, 0, 70, 100000], np.int32)
        names.append("b")
    conv = node("QLinearConv", " ".join(names), "y", pads=[1] * 4)
    assert_whole_matches(whole_model([conv], inputs, constants, opset=10), inputs, **EXACT)


@FEW
@given(st.integers(0, 255), st.integers(0, 255), st.sampled_from([1.0, 10.0, 90.0]))
def test_qlinear_matmul(a_zero: int, b_zero: int, y_scale: float) -> None:
    inputs = {
        "a": codes(2, 4, 9),
        "sa": f32(0.11),
        "za": np.asarray(a_zero, np.uint8),
        "b": codes(9, 5, seed=1),
        "sb": f32(0.07),
        "zb": np.asarray(b_zero, np.uint8),
        "sy": f32(y_scale),
        "zy": np.asarray(128, np.uint8),
    }
    product = node("QLinearMatMul", " ".join(inputs), "y")
    assert_whole_matches(whole_model([product], inputs, opset=10), inputs, **EXACT)


@FEW
@given(st.floats(-5, 5, width=32), st.floats(0.015625, 8, width=32), st.integers(0, 99))
def test_dynamic_quantization(offset: float, spread: float, seed: int) -> None:
    inputs = {"x": weights(50, seed=seed) * np.float32(spread) + np.float32(offset)}
    quantize = node("DynamicQuantizeLinear", "x", "y s z")
    proto = whole_model([quantize], inputs, outputs="y s z", opset=11)
    assert_whole_matches(proto, inputs, **EXACT)


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 2.0], [-3.0, -1.0]])
def test_dynamic_quantization_of_one_sided_ranges(values: list[float]) -> None:
    inputs = {"x": f32(values)}
    quantize = node("DynamicQuantizeLinear", "x", "y s z")
    proto = whole_model([quantize], inputs, outputs="y s z", opset=11)
    assert_whole_matches(proto, inputs, **EXACT)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("form", ["tensor", "axis", "blocks"])
def test_quantize_linear(form: str, dtype: Any) -> None:
    shapes = {"tensor": (), "axis": (6,), "blocks": (4, 3, 5)}
    attributes = {"tensor": {}, "axis": {"axis": -2}, "blocks": {"axis": 1, "block_size": 2}}
    inputs = {
        "x": weights(4, 6, 5) * np.float32(1000),
        "s": np.abs(weights(*shapes[form], seed=1)) + np.float32(0.125),
        "z": codes(*shapes[form], dtype=dtype),
    }
    inputs["s"] = np.asarray(inputs["s"], np.float32)
    inputs["z"] = np.asarray(inputs["z"], dtype)
    quantize = node("QuantizeLinear", "x s z", "y", **attributes[form])
    assert_whole_matches(whole_model([quantize], inputs, opset=21), inputs, **EXACT)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("form", ["tensor", "axis", "blocks"])
def test_dequantize_linear(form: str, dtype: Any) -> None:
    shapes = {"tensor": (), "axis": (6,), "blocks": (4, 3, 5)}
    attributes = {"tensor": {}, "axis": {"axis": 1}, "blocks": {"axis": 1, "block_size": 2}}
    inputs = {
        "x": codes(4, 6, 5, dtype=dtype),
        "s": np.asarray(np.abs(weights(*shapes[form], seed=1)), np.float32),
        "z": np.asarray(codes(*shapes[form], dtype=dtype, seed=2), dtype),
    }
    dequantize = node("DequantizeLinear", "x s z", "y", **attributes[form])
    assert_whole_matches(whole_model([dequantize], inputs, opset=21), inputs, **EXACT)


def test_ties_go_to_the_even_code() -> None:
    x = f32([0.5, 1.5, 2.5, -0.5, 300, -300, np.nan, np.inf])
    (found,) = QuantizeLinear().evaluate([x, f32(1), np.asarray(3, np.uint8)], [])
    assert found.tolist() == [3, 5, 5, 3, 255, 0, 0, 255]


def test_four_bit_codes_are_refused() -> None:
    inputs = {"x": weights(4), "s": f32(1)}
    quantize = node("QuantizeLinear", "x s", "y", output_dtype=TensorProto.INT4)
    with pytest.raises(UnsupportedError, match="to int4"):
        import_onnx(whole_model([quantize], inputs, opset=21), batched=False)


def test_operands_are_checked() -> None:
    x, s = TensorType(DType.F32, (4, 6)), TensorType(DType.F32, (5,))
    with pytest.raises(OpError, match=r"scale has shape \[5\], needed is \[6\]"):
        QuantizeLinear(axis=1).infer([x, s])
    with pytest.raises(OpError, match="allowed are ui8, i8"):
        MatMulInteger().infer([x, x])
    with pytest.raises(OpError, match="the zero point is i8, the codes ui8"):
        DequantizeLinear().infer([TensorType(d, ()) for d in (DType.U8, DType.F32, DType.I8)])


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 1, 2, 3), (4, 3, 6))]
)
def test_product_shape(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert product_shape(a, b) == np.matmul(np.zeros(a), np.zeros(b)).shape
