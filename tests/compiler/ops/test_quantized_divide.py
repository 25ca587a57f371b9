"""Quotients of codes against float64, and against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.code_graphs import both, code_graph, random_codes, random_params, random_requant

from imcc.compiler.ir import DType, OpError, QuantParams, TensorType
from imcc.compiler.ir.ops.quantized_divide import QDiv
from imcc.compiler.ir.requant import dequantize, full_range
from imcc.isa.target import RequantMode

seeds = st.integers(0, 2**32 - 1)
PARAMS = QuantParams((0.5,), (3,))


@given(seed=seeds, mode=st.sampled_from(RequantMode))
@settings(max_examples=60, deadline=None)
def test_error_is_half_a_step_and_half_a_unit(seed: int, mode: RequantMode) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_params(rng), random_params(rng)
    unit = a.scale[0] / b.scale[0] * 2.0**-16
    step = float(np.float32(unit * 2.0 ** rng.uniform(0, 18)))
    op = QDiv(full_range(QuantParams((step,), (int(rng.integers(256)),)), mode))
    codes = [random_codes(rng, (1, 40)) for _ in range(2)]
    types = [TensorType(DType.U8, (1, 40), params) for params in (a, b)]
    (found,) = op.evaluate(codes, types)
    x, y = (
        (array.astype(np.float64) - params.zero_point[0]) * params.scale[0]
        for array, params in zip(codes, (a, b), strict=True)
    )
    (rounding,) = (1e-4 if mode is RequantMode.FLOAT24 else 2e-4,)
    defined = y != 0
    exact = x[defined] / y[defined] / step + op.requant.zero_point
    inside = (exact >= -0.5) & (exact <= 255.5)
    error = np.abs(found[defined] - exact)[inside]
    assert error.max(initial=0) <= (1 + unit / step) / 2 + rounding
    below, above = exact < 0, exact > 255
    assert (found[defined][below] <= 1).all()
    assert (found[defined][above] >= 254).all()


def test_divided_by_zero() -> None:
    """The ends of the output for numbers, zero for zero."""
    codes = [np.array([[2, 3, 4]], np.uint8), np.full((1, 3), 3, np.uint8)]
    types = [TensorType(DType.U8, (1, 3), PARAMS)] * 2
    (found,) = QDiv(full_range(QuantParams((0.1,), (100,)))).evaluate(codes, types)
    assert found.tolist() == [[0, 100, 255]]


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_onnxruntime_differs_by_one_step_at_most_and_seldom(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_params(rng), QuantParams(random_params(rng).scale, (0,))
    shapes = [(1, 3, 50), (1, int(rng.choice([1, 3])), 50)]
    scale = float(np.float32(a.scale[0] / b.scale[0] * 2.0 ** rng.uniform(-8, 2)))
    op = QDiv(random_requant(rng, scale))
    graph = code_graph(op, list(zip(shapes, (a, b), strict=True)))
    codes = [random_codes(rng, shape) for shape in shapes]
    codes[1] = np.maximum(codes[1], 1)
    ours, theirs, witness = both(graph, codes)
    assert len(witness.unfused) == 1
    assert np.abs(ours - theirs).max() <= 1
    assert np.mean(ours != theirs) <= 0.02


def test_shapes_must_broadcast() -> None:
    op = QDiv(full_range(PARAMS))
    types = [TensorType(DType.U8, shape, PARAMS) for shape in ((1, 2, 3), (1, 2, 4))]
    with pytest.raises(OpError, match="do not broadcast"):
        op.infer(types)
    assert op.infer([types[0], TensorType(DType.U8, (1, 1, 3), PARAMS)])[0].shape == (1, 2, 3)


def test_codes_of_quotients_are_real_values_of_quotients() -> None:
    """6 / 1.5 in halves and quarters."""
    types = [TensorType(DType.U8, (1, 1), QuantParams((s,), (0,))) for s in (0.5, 0.25)]
    output = QuantParams((0.125,), (10,))
    codes = [np.array([[12]], np.uint8), np.array([[6]], np.uint8)]
    (found,) = QDiv(full_range(output)).evaluate(codes, types)
    assert dequantize(found, output).tolist() == [[4.0]]
