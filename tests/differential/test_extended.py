"""Networks and data that are not part of the repository, where they lie beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imcc.compiler.data import Samples, random_samples
from imcc.compiler.driver import compile_model
from imcc.compiler.options import CompileOptions
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.machine import program_inputs

DATA = Path(__file__).parents[3] / "shared" / "data"
NETWORKS = {
    "mlperf_tiny/resnet8_float.onnx": "isaac",
    "mlperf_tiny/kws_dscnn_float.onnx": "isaac",
    "mlperf_tiny/vww_mobilenet_float.onnx": "puma",
    "mlperf_tiny/ad_autoencoder_float.onnx": "isaac",
    "cifar10/resnet20.onnx": "isaac",
    "cifar10/resnet20_raw.onnx": "dcim22",
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no networks in ../shared/data")


@pytest.mark.parametrize(("name", "target"), NETWORKS.items())
def test_real_network(name: str, target: str) -> None:
    model = DATA / name
    options = CompileOptions(seed=1)
    compilation = compile_model(model, target, options, "random")
    samples = random_samples(program_inputs(compilation.program), 2, 3)
    result = verify_program(compilation.program, model, samples)
    for comparison in result.comparisons:
        assert comparison.elements > 0
        assert comparison.passed, comparison


def test_resnet20_keeps_its_accuracy() -> None:
    """The float model has 81 % on these images; onnxruntime's own quantization loses nothing."""
    model = DATA / "cifar10" / "resnet20.onnx"
    with np.load(DATA / "cifar10" / "cifar10_jpeg_small.npz") as data:
        calibration, images = _normalized(data["x_calib"][:64]), _normalized(data["x_test"][:300])
        labels = data["y_test"][:300]
    compilation = compile_model(model, "dcim22", None, calibration)
    name = compilation.program.inputs[0].name
    labelled = Samples({name: images}, "cifar10", labels)
    result = verify_program(compilation.program, model, labelled.first(4), labelled=labelled)
    assert result.passed
    assert result.accuracy is not None
    assert result.accuracy.float_ > 0.75
    assert result.accuracy.machine > result.accuracy.float_ - 0.02


def _normalized(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    scaled = (images / 255 - mean) / deviation
    return np.asarray(scaled.transpose(0, 3, 1, 2), np.float32)
