"""Fourier transforms against onnxruntime and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from support.onnx_models import i64, node, weights
from support.whole_models import assert_whole_matches, whole_model

from imcc.compiler.ir import OpError, TensorType
from imcc.compiler.ir.ops.signal import DFT, STFT
from imcc.compiler.ir.types import DType


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("axis", [1, 2, -2])
def test_dft(parts: int, inverse: int, axis: int) -> None:
    inputs = {"x": weights(2, 6, 8, parts)}
    transform = node("DFT", "x _ axis", "y", inverse=inverse)
    proto = whole_model([transform], inputs, {"axis": i64(axis)}, opset=20)
    assert_whole_matches(proto, inputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("length", [5, 8, 11])
def test_one_sided(length: int) -> None:
    inputs = {"x": weights(2, 8, 1)}
    transform = node("DFT", "x length", "y", axis=1, onesided=1)
    proto = whole_model([transform], inputs, {"length": i64(length)}, opset=17)
    assert_whole_matches(proto, inputs, rtol=1e-3, atol=1e-4)


def test_one_sided_inverse() -> None:
    signal = weights(3, 10, 1)
    (half,) = DFT(1, 10, one_sided=True).evaluate([signal], [])
    assert half.shape == (3, 6, 2)
    (back,) = DFT(1, 10, inverse=True, one_sided=True).evaluate([half], [])
    np.testing.assert_allclose(back, signal, atol=1e-5)


@pytest.mark.parametrize("one_sided", [0, 1])
@pytest.mark.parametrize("window", [False, True])
def test_stft(one_sided: int, window: bool) -> None:
    inputs = {"x": weights(2, 40, 1)}
    constants = {"step": i64(5)}
    if window:
        constants["w"] = weights(16, seed=2)
    constants["length"] = i64(16)
    names = "x step w length" if window else "x step _ length"
    transform = node("STFT", names, "y", onesided=one_sided)
    proto = whole_model([transform], inputs, constants, opset=17)
    assert_whole_matches(proto, inputs, rtol=1e-3, atol=1e-4)


def test_operands_are_checked() -> None:
    with pytest.raises(OpError, match="extent 1 or 2"):
        DFT(1, 4).infer([TensorType(DType.F32, (1, 4, 3))])
    with pytest.raises(OpError, match="length 9 do not fit 8"):
        STFT(1, 9).infer([TensorType(DType.F32, (1, 8, 1))])
    assert DFT(0, 4).batch_problem([TensorType(DType.F32, (1, 4, 2))])
