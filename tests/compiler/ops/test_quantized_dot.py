"""Products of computed matrices of codes against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.code_graphs import (
    assert_same,
    code_graph,
    random_codes,
    random_params,
    random_requant,
)

from imcc.compiler.ir import DType, OpError, QuantParams, TensorType
from imcc.compiler.ir.ops.quantized_dot import LONGEST_SUM, QDot
from imcc.compiler.ir.requant import full_range

seeds = st.integers(0, 2**32 - 1)
PARAMS = QuantParams((0.5,), (3,))


@given(seed=seeds, heads=st.sampled_from([(2, 2), (2, 1), (1, 3)]))
@settings(max_examples=40, deadline=None)
def test_product_equals_onnxruntime(seed: int, heads: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    m, k, n = (int(v) for v in rng.integers(1, 12, 3))
    shapes = [(1, heads[0], m, k), (1, heads[1], k, n)]
    factor = float(rng.choice([1.0, 0.125, 1 / np.sqrt(3)]))
    a, b = random_params(rng), random_params(rng)
    scale = float(np.float32(a.scale[0] * b.scale[0] * np.sqrt(k) * 100 * factor))
    graph = code_graph(
        QDot(random_requant(rng, scale), factor), list(zip(shapes, (a, b), strict=True))
    )
    assert_same(graph, [random_codes(rng, shape) for shape in shapes], "QLinearMatMul")


def test_sums_that_do_not_fit_are_refused() -> None:
    """The longest sum of extreme codes fits int32, one more product does not."""
    op = QDot(full_range(PARAMS))
    assert LONGEST_SUM * 255 * 255 < 2**31 <= (LONGEST_SUM + 1) * 255 * 255
    for extent, fits in ((LONGEST_SUM, True), (LONGEST_SUM + 1, False)):
        types = [
            TensorType(DType.U8, (1, 1, extent), PARAMS),
            TensorType(DType.U8, (1, extent, 1), PARAMS),
        ]
        if fits:
            assert op.infer(types)[0].shape == (1, 1, 1)
            continue
        with pytest.raises(OpError, match="at most 33025"):
            op.infer(types)


def test_matrices_must_fit() -> None:
    op = QDot(full_range(PARAMS))
    types = [TensorType(DType.U8, shape, PARAMS) for shape in ((1, 2, 3), (2, 3, 1))]
    with pytest.raises(OpError, match="it must be 1"):
        op.infer(types)
    with pytest.raises(OpError, match="stacks of matrices"):
        op.infer([types[0], types[0]])
