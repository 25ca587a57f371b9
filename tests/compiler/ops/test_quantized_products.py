"""QConv and QMatMul against onnxruntime's integer kernels, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.code_graphs import (
    Constants,
    assert_same,
    code_graph,
    random_codes,
    random_params,
    random_requant,
    random_scale,
)

from imcc.compiler.ir import Array, GraphBuilder, Op, OpError, QuantParams, TensorType, Value
from imcc.compiler.ir.ops.exact_product import accumulator_bound, exact_type, matmul
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.ir.requant import Requant, fixed_multiplier
from imcc.compiler.ir.types import DType
from imcc.isa.target import RequantMode

seeds = st.integers(0, 2**32 - 1)


def constants(
    rng: np.random.Generator, shape: tuple[int, ...], axis: int, x: QuantParams
) -> Constants:
    channels = shape[axis]
    scales = tuple(random_scale(rng, -8, -3) for _ in range(channels))
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    bias = rng.integers(-5000, 5000, channels).astype(np.int32)
    products = tuple(float(s) for s in np.float32(x.scale[0]) * np.array(scales, np.float32))
    zeros = (0,) * channels

    def add(builder: GraphBuilder) -> Sequence[Value]:
        return (
            builder.constant(weights, "w", QuantParams(scales, zeros, axis, 8, True)),
            builder.constant(bias, "b", QuantParams(products, zeros, 0, 32, True)),
        )

    return add


def random_conv(rng: np.random.Generator, rank: int) -> tuple[QConv, tuple[int, ...], int, int]:
    """An operator, its kernel, the number of input and of output channels."""
    depthwise = rng.random() < 0.3
    group = int(rng.integers(2, 6)) if depthwise else int(rng.integers(1, 3))
    inputs = group if depthwise else group * int(rng.integers(1, 5))
    outputs = group * int(rng.integers(1, 5))
    kernel = tuple(int(k) for k in rng.integers(1, 4, rank))
    strides = tuple(int(s) for s in rng.integers(1, 3, rank))
    dilations = tuple(int(d) for d in rng.integers(1, 3, rank))
    pads = tuple(int(p) for p in rng.integers(0, 3, 2 * rank))
    requant = random_requant(rng, random_scale(rng, -2, 4))
    return QConv(strides, pads, dilations, group, requant), kernel, inputs, outputs


@given(seed=seeds, rank=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_conv_equals_onnxruntime(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    op, kernel, inputs, outputs = random_conv(rng, rank)
    shape = (1, inputs, *(int(v) for v in rng.integers(5, 8, rank)))
    x = random_params(rng)
    weights = constants(rng, (outputs, inputs // op.group, *kernel), 0, x)
    graph = code_graph(op, [(shape, x)], weights)
    assert_same(graph, [random_codes(rng, shape)], "QLinearConv")


@given(seed=seeds, rank=st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_matmul_equals_onnxruntime(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, *(int(v) for v in rng.integers(1, 6, rank - 2)), int(rng.integers(1, 300)))
    x = random_params(rng)
    weights = constants(rng, (shape[-1], int(rng.integers(1, 40))), 1, x)
    graph = code_graph(QMatMul(random_requant(rng, random_scale(rng, 0, 6))), [(shape, x)], weights)
    assert_same(graph, [random_codes(rng, shape)], "QGemm")


def test_a_deep_product_is_exact_beyond_float32() -> None:
    """255 * 127 * 4096 is above 2^24, so float32 sums would round."""
    rng = np.random.default_rng(7)
    depth, x = 4096, QuantParams((0.5,), (3,))
    weights = np.full((depth, 2), 127, np.int8)
    weights[1::2, 1] = -127
    bias = np.array([1, 3], np.int32)
    codes = rng.integers(200, 256, (4, depth), dtype=np.uint8)
    exact = (codes.astype(np.int64) - 3) @ weights.astype(np.int64) + bias
    assert (exact.astype(np.float32) != exact).any()
    np.testing.assert_array_equal(matmul(codes, x, weights, bias), exact)


def test_the_float_type_follows_the_weights() -> None:
    x, bias = QuantParams((0.5,), (255,)), np.array([-7], np.int32)
    weights = np.array([[100], [-27]], np.int8)
    assert accumulator_bound(x, weights, bias, 1) == 255 * 127 + 7
    assert exact_type((1 << 24) - 1) == np.float32
    assert exact_type(1 << 24) == np.float64


def product_types(x: QuantParams, weights: Array, bias: Array) -> list[TensorType]:
    channels = weights.shape[1]
    scales = QuantParams((2.0**-18,) * channels, (0,) * channels, 1, 8, True)
    return [
        TensorType(DType.U8, (1, weights.shape[0]), x),
        TensorType(DType.I8, weights.shape, scales),
        TensorType(DType.I32, bias.shape),
    ]


@given(seed=seeds, bits=st.integers(8, 24))
@settings(max_examples=40, deadline=None)
def test_fixed_mode_rounds_the_integer_product_once(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    x, requant = random_params(rng), random_requant(rng, random_scale(rng, -3, 3))
    fixed = Requant(requant.output, requant.low, requant.high, RequantMode.FIXED, bits)
    op, weights = QMatMul(fixed), rng.integers(-127, 128, (20, 3)).astype(np.int8)
    codes, bias = random_codes(rng, (1, 20)), rng.integers(-999, 999, 3).astype(np.int32)
    types = product_types(x, weights, bias)
    (result,) = op.evaluate([codes, weights, bias], types)
    zero = x.zero_point[0]
    acc = (codes.astype(int) - zero) @ weights.astype(int) + bias
    for (row, channel), value in np.ndenumerate(acc):
        mantissa, shift = fixed_multiplier(float(op.accumulator_scale(types)[channel]), bits)
        exact = round_half_even(int(value) * mantissa, shift) + fixed.zero_point
        assert result[row, channel] == min(max(exact, fixed.low), fixed.high)


def round_half_even(value: int, shift: int) -> int:
    from fractions import Fraction

    return round(Fraction(value, 1 << shift))


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        (QMatMul, ((1, 4), (5, 2)), "cannot be multiplied"),
        (QMatMul, ((1, 4), (4, 2, 1)), "cannot be multiplied"),
    ],
)
def test_misfits_are_refused(
    op: type[QMatMul], shapes: tuple[tuple[int, ...], tuple[int, ...]], message: str
) -> None:
    x, w = shapes
    scales = QuantParams((1.0,) * w[1], (0,) * w[1], 1, 8, True)
    types = [
        TensorType(DType.U8, x, QuantParams((1.0,), (0,))),
        TensorType(DType.I8, w, scales),
        TensorType(DType.I32, (w[1],)),
    ]
    made: Op = op(Requant(QuantParams((1.0,), (0,)), 0, 255))
    with pytest.raises(OpError, match=message):
        made.infer(types)
