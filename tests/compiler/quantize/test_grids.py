"""Weights that were quantized before keep their codes."""

from __future__ import annotations

import numpy as np
import pytest

from imcc.compiler.quantize.grids import grid_steps
from imcc.compiler.quantize.parameters import product_codes


@pytest.mark.parametrize("largest", [1, 2, 7, 60, 127])
def test_codes_come_back(largest: int) -> None:
    random = np.random.default_rng(largest)
    codes = random.integers(-largest, largest + 1, (8, 3, 3, 5))
    codes[:, 0, 0, 0] = largest
    scales = random.uniform(0.001, 0.1, (8, 1, 1, 1)).astype(np.float32)
    weights = codes.astype(np.float32) * scales
    found = product_codes(weights, np.zeros(8, np.float32), 0, 8, 0.1)
    np.testing.assert_array_equal(found.weights, codes * (127 // largest))
    steps = np.asarray(found.weight_params.scale) * (127 // largest)
    np.testing.assert_allclose(steps, scales.reshape(-1), rtol=1e-6)


def test_fewer_bits_where_the_grid_allows_it() -> None:
    weights = np.array([[0.3, -0.3, 0.0, 0.3], [0.5, 0.1, 0.2, 0.3]], np.float32)
    found = product_codes(weights, np.zeros(2, np.float32), 0, 2, 0.1)
    np.testing.assert_array_equal(found.weights[0], [1, -1, 0, 1])


def test_other_weights_have_no_grid() -> None:
    rows = np.random.default_rng(0).standard_normal((16, 40)).astype(np.float32)
    rows[3] = 0
    assert np.isnan(grid_steps(rows, 127)).all()
