"""The output stage against onnxruntime byte for byte, and against exact rational arithmetic.

A quarter of the scales are powers of two, so that ties happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from imcc.isa import OutputStage, Rounding, decode_scale, encode_scales
from imcc.runtime.numerics import (
    add_codes,
    half_up,
    multiply_codes,
    requantize,
    rne,
    rne24,
    softmax,
    split_scale,
)

F32 = np.float32
Codes = NDArray[np.generic]
Integers = NDArray[np.int64]
SEEDS = range(12)


def onnx_node(
    op: str,
    inputs: Sequence[Codes | np.float32],
    output: int,
    domain: str = "",
    attributes: Mapping[str, int] | None = None,
) -> NDArray[np.int64]:
    """What onnxruntime's kernel of one operator gives."""
    given = {f"i{index}": np.asarray(array) for index, array in enumerate(inputs)}
    node = helper.make_node(op, list(given), ["y"], domain=domain)
    node.attribute.extend(helper.make_attribute(k, v) for k, v in (attributes or {}).items())
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in given.items()
    ]
    graph = helper.make_graph(
        [node], "one", infos, [helper.make_tensor_value_info("y", output, None)]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(None, given)
    return np.asarray(result).astype(np.int64)


def random_scale(rng: np.random.Generator, low: float, high: float) -> np.float32:
    exponent = rng.uniform(low, high)
    return F32(2.0 ** (np.rint(exponent) if rng.random() < 0.25 else exponent))


def random_zero_point(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 255, 128, int(rng.integers(256)), int(rng.integers(256)) | 1]))


def byte(value: int) -> NDArray[np.uint8]:
    return np.array(value, np.uint8)


def stage(zero_point: int, rounding: Rounding = Rounding.FLOAT24) -> OutputStage:
    return OutputStage(zero_point, 0, 255, rounding)


def words(values: Sequence[float | np.float32] | NDArray[np.float32]) -> NDArray[np.uint32]:
    return encode_scales(np.asarray(values, np.float64))


@pytest.mark.parametrize("seed", SEEDS)
def test_matrix_product_requantization(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, inner, cols = (int(v) for v in rng.integers(1, 60, 3))
    a = rng.integers(0, 256, (rows * 4, inner)).astype(np.uint8)
    b = rng.integers(-127, 128, (inner, cols)).astype(np.int8)
    za, zy = random_zero_point(rng), random_zero_point(rng)
    sa, sy = random_scale(rng, -8, 0), random_scale(rng, -3, 4)
    sb = np.array([random_scale(rng, -9, -5) for _ in range(cols)], F32)
    expected = onnx_node(
        "QLinearMatMul",
        [a, sa, byte(za), b, sb, np.zeros(cols, np.int8), sy, byte(zy)],
        TensorProto.UINT8,
    )
    accumulators = (a.astype(np.int64) - za) @ b.astype(np.int64)
    scales = words((sa * sb).astype(F32) / sy)
    np.testing.assert_array_equal(requantize(accumulators, scales, stage(zy)), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_convolution_requantization_with_large_accumulators(seed: int) -> None:
    """The bias takes sums beyond 2^24, where float32 rounds them."""
    rng = np.random.default_rng(seed)
    outputs, pixels = 9, 400
    x = rng.integers(0, 256, (1, 3, pixels, 1)).astype(np.uint8)
    w = rng.integers(-127, 128, (outputs, 3, 1, 1)).astype(np.int8)
    bias = (rng.choice([-1, 1], outputs) << rng.integers(0, 30, outputs)).astype(np.int32)
    zx, zy = random_zero_point(rng), random_zero_point(rng)
    sx, sy = random_scale(rng, -8, 0), random_scale(rng, -3, 4)
    # The largest results lie near the end of the range of codes.
    size = np.log2((np.abs(bias).astype(np.float64) + 5e4) * sx / sy)
    sw = np.array([random_scale(rng, 6 - s, 8 - s) for s in size], F32)
    expected = onnx_node(
        "QLinearConv",
        [x, sx, byte(zx), w, sw, np.zeros(outputs, np.int8), sy, byte(zy), bias],
        TensorProto.UINT8,
    )
    sums = np.einsum("kp,mk->mp", x[0, :, :, 0].astype(np.int64) - zx, w[..., 0, 0].astype(int))
    scales = words((sx * sw).astype(F32) / sy)
    found = requantize(sums + bias[:, None].astype(np.int64), scales[:, None], stage(zy))
    np.testing.assert_array_equal(found, expected[0, :, :, 0])
    assert len(np.unique(found)) > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_global_average_requantization(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(v) for v in rng.integers(1, 9, 2))
    x = rng.integers(0, 256, (1, 800, height, width)).astype(np.uint8)
    zx, zy = random_zero_point(rng), random_zero_point(rng)
    sx, sy = random_scale(rng, -6, 0), random_scale(rng, -6, 0)
    expected = onnx_node(
        "QLinearGlobalAveragePool",
        [x, sx, byte(zx), sy, byte(zy)],
        TensorProto.UINT8,
        "com.microsoft",
        {"channels_last": 0},
    )
    sums = (x.astype(np.int64) - zx).sum(axis=(2, 3), keepdims=True)
    scale = words([sx / F32(sy * F32(height * width))])
    np.testing.assert_array_equal(requantize(sums, scale, stage(zy)), expected)


def all_pairs() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    a, b = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    return a, b


def nearest_f32(exact: Fraction) -> np.float32:
    """The float32 nearest to a rational number, ties to even, without double rounding."""
    middle = F32(float(exact))
    near = [np.nextafter(middle, F32(-np.inf)), middle, np.nextafter(middle, F32(np.inf))]
    return min(near, key=lambda v: (abs(Fraction(float(v)) - exact), int(v.view(np.uint32)) & 1))


def exact(value: np.float32) -> Fraction:
    return Fraction(float(value))


@pytest.mark.parametrize("seed", range(24))
def test_addition_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = all_pairs()
    za, zb, zc = (random_zero_point(rng) for _ in range(3))
    sa, sb = random_scale(rng, -4, 0), random_scale(rng, -4, 0)
    sc = random_scale(rng, -4, 1)
    expected = onnx_node(
        "QLinearAdd",
        [a, sa, byte(za), b, sb, byte(zb), sc, byte(zc)],
        TensorProto.UINT8,
        "com.microsoft",
    )
    ra, rb = sa / sc, sb / sc
    offset = nearest_f32(exact(ra) * za + exact(F32(rb * F32(zb))))
    parameters = words([ra, rb, F32(zc) - offset])
    found = add_codes(a.astype(np.int64), b.astype(np.int64), parameters, stage(zc))
    np.testing.assert_array_equal(found, expected)


def check_multiplication(
    zero_points: tuple[int, int, int], scales: tuple[np.float32, np.float32, np.float32]
) -> None:
    a, b = all_pairs()
    (za, zb, zc), (sa, sb, sc) = zero_points, scales
    expected = onnx_node(
        "QLinearMul",
        [a, sa, byte(za), b, sb, byte(zb), sc, byte(zc)],
        TensorProto.UINT8,
        "com.microsoft",
    )
    parameters = np.array([words([F32(sa * sb) / sc])[0], za, zb], np.uint32)
    found = multiply_codes(a.astype(np.int64), b.astype(np.int64), parameters, stage(zc))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(24))
def test_multiplication_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    za, zb, zc = (random_zero_point(rng) for _ in range(3))
    sa, sb = random_scale(rng, -6, -2), random_scale(rng, -6, -2)
    check_multiplication((za, zb, zc), (sa, sb, random_scale(rng, -4, 1)))


@pytest.mark.parametrize("zero_point", [1, 126, 127, 200])
@pytest.mark.parametrize("toward", [0, 1])
def test_multiplication_next_to_ties(zero_point: int, toward: float) -> None:
    """Products a little off a half, which float32 rounds to the half with the zero point."""
    scale = np.nextafter(F32(0.5), F32(toward))
    check_multiplication((128, 127, zero_point), (scale, F32(1), F32(1)))


@pytest.mark.parametrize("shift", [14, 15, 18])
def test_large_accumulators_next_to_ties(shift: int) -> None:
    """Above 2^24 the accumulator loses bits first, and may become a tie."""
    odd = np.random.default_rng(shift).integers(-(1 << 16), 1 << 16, 5000) * 2 + 1
    offsets = np.arange(-70, 71, 7)
    accumulators = ((odd << (shift - 1))[:, None] + offsets).ravel()
    accumulators = accumulators[np.abs(accumulators) < 1 << 31]
    wide = OutputStage(3, -(1 << 16), (1 << 16) - 1, Rounding.FLOAT24)
    for scale in (F32(2.0**-shift), np.nextafter(F32(2.0**-shift), F32(1))):
        rounded = np.rint(accumulators.astype(F32) * scale).astype(np.int64) + 3
        found = requantize(accumulators, words([scale]), wide)
        np.testing.assert_array_equal(found, np.clip(rounded, wide.low, wide.high))


@pytest.mark.parametrize("seed", SEEDS)
def test_biased_requantization_is_float32_arithmetic(seed: int) -> None:
    """Where the zero point comes before the rounding, as in average pooling."""
    rng = np.random.default_rng(seed)
    accumulators = rng.integers(-(1 << 20), 1 << 20, 20_000)
    scale, zero = random_scale(rng, -13, -11), random_zero_point(rng)
    scaled = accumulators.astype(F32) * scale + F32(zero)
    found = requantize(accumulators, words([scale]), stage(zero, Rounding.FLOAT24_BIASED))
    np.testing.assert_array_equal(found, np.clip(np.rint(scaled), 0, 255).astype(np.int64))


def signed_values(rng: np.random.Generator, bits: int, count: int) -> Integers:
    """Values of all magnitudes below 2^bits, and those around powers of two."""
    values = rng.integers(0, 1 << 62, count) >> rng.integers(62 - bits, 62, count)
    edges = (1 << np.arange(bits, dtype=np.int64))[:, None] + np.arange(-3, 4)
    ties = (np.int64(3) << np.arange(bits - 2, dtype=np.int64))[:, None] + np.arange(-1, 2)
    everything = np.concatenate([values, edges.ravel(), ties.ravel(), edges.ravel() // 3])
    return np.asarray(np.concatenate([everything, -everything]))


def test_24_bits_are_those_of_float32() -> None:
    values = signed_values(np.random.default_rng(0), 54, 50_000)
    np.testing.assert_array_equal(rne24(values), values.astype(F32).astype(np.int64))
    assert (rne24(values) != values).any()


def test_24_bits_of_all_ties_near_a_power_of_two() -> None:
    values = (1 << 27) + np.arange(-4096, 4096, dtype=np.int64)
    np.testing.assert_array_equal(rne24(values), values.astype(F32).astype(np.int64))


def rational(value: int, shift: int) -> Fraction:
    return Fraction(value, 1 << shift)


@pytest.mark.parametrize("shift", [0, 1, 2, 7, 24, 40, 52, 62, 90, 127])
def test_rounding_shifts_are_exact(shift: int) -> None:
    rng = np.random.default_rng(shift)
    values = signed_values(rng, 54, 300)
    halves = (np.arange(-40, 40, dtype=np.int64) * 2 + 1) << min(max(shift - 1, 0), 50)
    values = np.concatenate([values, halves])
    even = [round(rational(v, shift)) for v in values.tolist()]
    up = [(rational(v, shift) + Fraction(1, 2)).__floor__() for v in values.tolist()]
    assert rne(values, shift).tolist() == even
    assert half_up(values, shift).tolist() == up


@pytest.mark.parametrize("rounding", [Rounding.FIXED_HALF_EVEN, Rounding.FIXED_HALF_UP])
def test_fixed_point_rounds_once(rounding: Rounding) -> None:
    rng = np.random.default_rng(int(rounding))
    accumulators = signed_values(rng, 31, 2000)
    mantissa, shift, zero = 0xB001, 28, 7
    word = np.array([mantissa | shift << 24], np.uint32)
    found = requantize(accumulators, word, OutputStage(zero, -(1 << 15), 1 << 15, rounding))
    exact_values = [rational(v * mantissa, shift) for v in accumulators.tolist()]
    rounded = [fixed_round(rounding)(v) + zero for v in exact_values]
    np.testing.assert_array_equal(found, np.clip(rounded, -(1 << 15), 1 << 15))


def fixed_round(rounding: Rounding) -> Callable[[Fraction], int]:
    if rounding is Rounding.FIXED_HALF_EVEN:
        return round
    return lambda value: (value + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize("rounding", [Rounding.FIXED_HALF_EVEN, Rounding.FIXED_HALF_UP])
@pytest.mark.parametrize("shift", [8, 14, 40])
def test_fixed_point_sums_and_products(rounding: Rounding, shift: int) -> None:
    rng = np.random.default_rng(shift)
    a, b = rng.integers(0, 256, (2, 500))
    mantissas = [int(v) for v in rng.integers(1, 1 << 16, 3)]
    signed = [m | shift << 24 for m in mantissas]
    signed[2] |= 1 << 31
    wide = OutputStage(5, -(1 << 16), (1 << 16) - 1, rounding)
    ma, mb, mc = mantissas
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    totals = [rational(x * ma + y * mb - mc, shift) for x, y in pairs]
    rounded = np.clip([fixed_round(rounding)(v) for v in totals], wide.low, wide.high)
    parameters = np.array(signed, np.uint32)
    np.testing.assert_array_equal(add_codes(a, b, parameters, wide), rounded)
    products = [rational((x - 3) * (y - 250) * ma, shift) for x, y in pairs]
    expected = np.clip([fixed_round(rounding)(v) + 5 for v in products], wide.low, wide.high)
    parameters = np.array([signed[0], 3, 250], np.uint32)
    np.testing.assert_array_equal(multiply_codes(a, b, parameters, wide), expected)


def test_sums_of_very_unlike_scales_are_exact() -> None:
    """Ratios 2^40 apart do not fit one 64-bit grid; float64 with one rounding is not enough."""
    a, b = np.meshgrid(np.arange(0, 256, 5), np.arange(0, 256, 5))
    ra, rb, c = F32(0.7), F32(1.3 * 2.0**-40), F32(3.5)
    found = add_codes(a, b, words([ra, rb, c]), stage(0))
    expected = [
        round(exact(nearest_f32(x * exact(ra) + exact(nearest_f32(y * exact(rb) + exact(c))))))
        for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    ]
    np.testing.assert_array_equal(found.ravel(), np.clip(expected, 0, 255))


def test_scale_words_split_into_their_value() -> None:
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 1 << 32, 2000, dtype=np.uint32)
    mantissa, shift = split_scale(raw)
    np.testing.assert_array_equal(np.ldexp(mantissa.astype(float), -shift), decode_scale(raw))
    np.testing.assert_array_equal(split_scale(raw.view(np.int32).astype(np.int64))[0], mantissa)


def test_zero_point_before_or_after_rounding_differs_at_ties() -> None:
    """1.5 rounds to 2 and 0.5 to 0; with an odd zero point the other way round."""
    ties, half = np.array([1, 3, 5], np.int64), words([0.5])
    assert requantize(ties, half, stage(1)).tolist() == [1, 3, 3]
    assert requantize(ties, half, stage(1, Rounding.FLOAT24_BIASED)).tolist() == [2, 2, 4]


def test_softmax_is_the_exact_quotient() -> None:
    rng = np.random.default_rng(8)
    table = np.rint(np.exp(-np.arange(256) * 0.05) * (1 << 20)).astype(np.int64)
    codes = rng.integers(0, 256, (200, 10))
    codes[0] = 7  # all equal: ten times 25.6
    zero, steps = 3, 256
    expected = []
    for row in codes.tolist():
        terms = [int(table[max(row) - code]) for code in row]
        shares = [round(Fraction(term * steps, sum(terms))) + zero for term in terms]
        expected.append([min(max(share, 0), 255) for share in shares])
    assert softmax(codes, table, steps, stage(zero)).tolist() == expected
    assert expected[0] == [29] * 10
