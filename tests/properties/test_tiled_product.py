"""A product on crossbars equals the integer product wherever no converter loses anything."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imcc.compiler.ir import Graph, GraphBuilder, QuantParams, TensorType, evaluate
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.ir.ops.tiled import crossbar_product
from imcc.compiler.ir.requant import full_range
from imcc.compiler.ir.types import DType
from imcc.compiler.mapping import AdcPolicy, TileOptions, summary, tile
from imcc.compiler.mapping.encoding import BlockWeights, block_planes, code_of, levels
from imcc.compiler.mapping.partition import Place, cut
from imcc.isa.matrix import Matrix
from imcc.isa.target import Encoding, Target, load_target

DIFFERENTIAL = (Encoding.DIFFERENTIAL_COLUMNS, Encoding.DIFFERENTIAL_ROWS)


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Chips of small arrays with any encoding."""
    base = load_target("tiny")
    encoding = draw(st.sampled_from(Encoding))
    array = base.array.model_copy(
        update={
            "rows": draw(st.integers(10, 64)),
            "cols": draw(st.sampled_from([24, 32, 64])),
            "cell_bits": draw(st.sampled_from([1, 2, 4, 8])),
            "step_bits": draw(st.integers(1, 8)),
            "encoding": encoding,
            "subtract_analog": encoding in DIFFERENTIAL and draw(st.booleans()),
        }
    )
    core = base.core.model_copy(update={"arrays": draw(st.integers(4, 20))})
    adc = base.adc.model_copy(update={"bits": draw(st.sampled_from([0, 4, 8, 10, 20]))})
    return base.model_copy(update={"array": array, "core": core, "adc": adc})


def _graph(rng: np.random.Generator, x_shape: tuple[int, ...], w_shape: tuple[int, ...],
           op: QConv | QMatMul, weight_bits: int, input_bits: int) -> Graph:  # fmt: skip
    axis = 0 if isinstance(op, QConv) else 1
    count, top = w_shape[axis], (1 << (weight_bits - 1)) - 1
    zero = int(rng.integers(0, 1 << input_bits))
    builder = GraphBuilder("product")
    x = builder.input(
        "x", TensorType(DType.U8, x_shape, QuantParams((0.5,), (zero,), None, input_bits))
    )
    weights = rng.integers(-top, top + 1, w_shape).astype(np.int8)
    scales = QuantParams((0.25,) * count, (0,) * count, axis, weight_bits, True)
    w = builder.constant(weights, "w", scales)
    bias = builder.constant(rng.integers(-999, 999, count).astype(np.int32), "b")
    return builder.finish([builder.add(op, [x, w, bias], "y", ["/product"])], ["y"])


def _requant(scale: float) -> QuantParams:
    return QuantParams((scale,), (120,))


@st.composite
def products(draw: st.DrawFn) -> Graph:
    """A convolution (1-D or 2-D, grouped, dilated) or a matrix product on random data."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    weight_bits, input_bits = draw(st.integers(2, 8)), draw(st.integers(1, 8))
    requant = full_range(_requant(2.0 ** draw(st.integers(0, 10))))
    if draw(st.booleans()):
        k, n = draw(st.integers(1, 150)), draw(st.integers(1, 40))
        return _graph(rng, (1, 2, k), (k, n), QMatMul(requant), weight_bits, input_bits)
    rank, group = draw(st.integers(1, 2)), draw(st.sampled_from([1, 1, 2, 5, 12]))
    per_group, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    pads = tuple(draw(st.integers(0, 2)) for _ in range(2 * rank))
    dilations, strides = ((draw(st.integers(1, 2)),) * rank for _ in range(2))
    op = QConv(strides, pads, dilations, group, requant)
    shape = (1, per_group * group, *(7,) * rank)
    return _graph(rng, shape, (outputs * group, per_group, *kernel), op, weight_bits, input_bits)


@given(graph=products(), target=targets(), policy=st.sampled_from(AdcPolicy))
@settings(max_examples=60, deadline=None)
def test_tiled_product_equals_the_plain_one(
    graph: Graph, target: Target, policy: AdcPolicy
) -> None:
    tiled = tile(graph, target, TileOptions(adc=policy))
    tiled.verify()
    (layer,) = summary(tiled)
    x_type = graph.inputs[0].type
    assert x_type.quant is not None
    high = x_type.quant.high
    codes = np.random.default_rng(1).integers(0, high + 1, (3, *x_type.shape[1:])).astype(np.uint8)
    result = evaluate(tiled.graph, {"x": codes})["y"]
    assert result.dtype == np.uint8
    if layer.lossless:
        np.testing.assert_array_equal(result, evaluate(graph, {"x": codes})["y"])
    assert layer.lossless or target.adc.bits > 0
    for _, op in tiled.products():
        accumulators = op.accumulators(
            [codes, graph.constants["w"]], [value.type for value in graph.nodes[0].operands]
        )
        assert accumulators.shape == result.shape


def _literal(matrix: Matrix, weights: BlockWeights, x: NDArray[np.uint8]) -> list[int]:
    """One input vector through a matrix handle: the formulas of imcc.isa.matrix, in integers."""
    cells = dict(zip(matrix.tiles, levels(matrix, weights), strict=True))
    partner = {(t.k, t.n, t.slice): t for t in matrix.tiles if t.negative}
    rows, cols = matrix.block_rows, matrix.block_cols
    y = [
        matrix.center * int(x[n // cols * rows :][:rows].sum(dtype=np.int64))
        for n in range(matrix.cols)
    ]
    for tile_, level in cells.items():
        if matrix.subtract_analog and tile_.negative:
            continue
        signed = level.astype(np.int64)
        if matrix.subtract_analog:
            signed = signed - cells[partner[tile_.k, tile_.n, tile_.slice]]
        adc, sign = matrix.adcs[tile_.slice], -1 if tile_.negative else 1
        for shift in range(0, matrix.input_bits, matrix.step_bits):
            digits = x[tile_.k : tile_.k + tile_.rows].astype(np.int64) >> shift
            sums = (digits & ((1 << matrix.step_bits) - 1)) @ signed
            for n, a in enumerate(sums.tolist(), tile_.n):
                code = min(max((a - adc.low + adc.step // 2) // adc.step, 0), (1 << adc.bits) - 1)
                value = code * adc.step + adc.low if adc.bits else a
                y[n] += sign * value * matrix.slices[tile_.slice].coefficient << shift
    return y


@given(
    target=targets(),
    policy=st.sampled_from(AdcPolicy),
    bits=st.tuples(st.integers(2, 8), st.integers(1, 8)),
    block=st.tuples(st.integers(1, 90), st.integers(1, 9)),
    whole=st.sampled_from([0, 0, 1, 3]),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=60, deadline=None)
def test_crossbar_product_is_the_formula_and_keeps_its_bound(
    target: Target,
    policy: AdcPolicy,
    bits: tuple[int, int],
    block: tuple[int, int],
    whole: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    top = (1 << (bits[0] - 1)) - 1
    last = tuple(int(rng.integers(1, extent + 1)) if whole else extent for extent in block)
    blocks = rng.integers(-top, top + 1, (whole + 1, *block)).astype(np.int8)
    blocks[-1, last[0] :], blocks[-1, :, last[1] :] = 0, 0
    weights = BlockWeights(blocks, whole * block[0] + last[0], whole * block[1] + last[1])
    made = cut(weights, bits[0], bits[1], target, policy)
    matrix = made.matrix(0, [Place(0, 0, 0)] * len(made.shapes))
    vectors = rng.integers(0, 1 << bits[1], (weights.rows, 4)).astype(np.uint8)
    vectors[:, 0], vectors[:, 1] = (1 << bits[1]) - 1, 0
    result = crossbar_product(matrix, block_planes(code_of(matrix), weights), vectors)
    expected = np.array([_literal(matrix, weights, x) for x in vectors.T]).T
    np.testing.assert_array_equal(result, expected)
    assert np.abs(result).max() <= matrix.bound
    assert len(matrix.tiles) == len(made.shapes) * len(matrix.slices) * (
        2 if target.array.encoding in DIFFERENTIAL else 1
    )
    assert (whole * prod(block) + prod(last)) * len(matrix.slices) == sum(
        t.rows * t.cols for t in matrix.tiles if not t.negative
    )
