"""Models that are quantized already: machine, graphs and onnxruntime on that very model agree."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from support.calibration_reader import Reader

from imcc.compiler.data import Samples, find_beside, random_samples
from imcc.compiler.driver import UNCALIBRATED, compile_model
from imcc.compiler.verify import Verification, verify_program
from imcc.compiler.verify.machine import load_program_samples, program_inputs
from imcc.isa import program_bytes, program_from_bytes

MODELS = Path(__file__).parents[2] / "models"
DATA = Path(__file__).parents[3] / "shared" / "data"
TINY = ("resnet8", "kws_dscnn", "ad_autoencoder", "vww_mobilenet")
TARGETS = ("isaac", "dcim22")
_TYPES = {
    "u8": QuantType.QUInt8,
    "s8": QuantType.QInt8,
    "u4": QuantType.QUInt4,
    "s4": QuantType.QInt4,
}


@dataclass(frozen=True)
class Case:
    """A bundled network, and how onnxruntime quantizes it."""

    network: str
    form: str
    activations: str
    weights: str
    per_channel: bool

    def __str__(self) -> str:
        granularity = "channel" if self.per_channel else "tensor"
        return f"{self.network}-{self.form}-{self.activations}{self.weights}-{granularity}"


CASES = (
    Case("fmnist_resnet8", "QDQ", "u8", "s8", True),
    Case("fmnist_resnet8", "QDQ", "s8", "s8", False),
    Case("fmnist_resnet8", "QOperator", "u8", "u8", False),
    Case("fmnist_resnet8", "QOperator", "s8", "s8", True),
    Case("fmnist_mobilenet", "QDQ", "u8", "u8", True),
    Case("fmnist_mobilenet", "QDQ", "s8", "s8", True),
    Case("fmnist_lenet", "QOperator", "u8", "s8", True),
    Case("fmnist_lenet", "QOperator", "s8", "s8", False),
    Case("fmnist_mlp", "QDQ", "u8", "u8", False),
    Case("fmnist_mlp", "QOperator", "s8", "s8", True),
    Case("watch_cnn1d", "QDQ", "u8", "s4", True),
    Case("watch_cnn1d", "QDQ", "s8", "u4", False),
)


def quantized(case: Case, directory: Path) -> Path:
    """The model as onnxruntime's quantizer makes it, with its data beside it."""
    source = MODELS / f"{case.network}.onnx"
    data = find_beside(source)
    assert data is not None
    path = directory / f"{data.stem}_quantized.onnx"
    (directory / data.name).symlink_to(data)
    with np.load(data) as arrays:
        samples = arrays["x"][:32].astype(np.float32)
    logging.disable(logging.WARNING)  # it recommends preprocessing
    try:
        quantize_static(
            source,
            path,
            Reader(onnx.load(source).graph.input[0].name, samples),
            quant_format=QuantFormat[case.form],
            activation_type=_TYPES[case.activations],
            weight_type=_TYPES[case.weights],
            per_channel=case.per_channel,
        )
    finally:
        logging.disable(logging.NOTSET)
    return path


def checked(model: Path, target: str, samples: Samples | None, count: int) -> Verification:
    """Compile without calibration data, read the program back, and verify it."""
    program = program_from_bytes(program_bytes(compile_model(model, target).program))
    found = samples or random_samples(program_inputs(program), 5, count)
    return verify_program(program, model, found.first(count))


def assert_equal(result: Verification) -> None:
    assert result.calibration == UNCALIBRATED
    assert result.notes == ()
    assert [c.differences for c in result.comparisons] == [0, 0, 0, 0]
    assert all(c.required and c.elements for c in result.comparisons)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_quantizer_of_onnxruntime(case: Case, tmp_path: Path) -> None:
    model = quantized(case, tmp_path)
    for target in TARGETS:
        program = compile_model(model, target).program
        data = find_beside(model)
        assert data is not None
        assert_equal(checked(model, target, load_program_samples(data, program), 6))


def test_average_pooling_of_windows_of_four_has_ties(tmp_path: Path) -> None:
    """onnxruntime rounds such means in floats; verification says so and counts."""
    model = quantized(Case("fmnist_lenet", "QDQ", "u8", "s8", False), tmp_path)
    program = compile_model(model, "dcim22").program
    data = find_beside(model)
    assert data is not None
    result = checked(model, "dcim22", load_program_samples(data, program), 16)
    assert result.passed
    assert [c.differences for c in result.comparisons[:3]] == [0, 0, 0]
    witness = result.comparisons[3]
    assert not witness.required
    assert "ties are common" in witness.reason
    assert witness.differences > 0


@pytest.mark.skipif(not DATA.is_dir(), reason="no networks in ../shared/data")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TINY)
def test_mlperf_tiny(name: str, target: str) -> None:
    assert_equal(checked(DATA / "mlperf_tiny" / f"{name}_int8.onnx", target, None, 2))


@pytest.mark.skipif(not DATA.is_dir(), reason="no networks in ../shared/data")
def test_signed_codes_of_a_product_on_several_cores() -> None:
    """On small arrays a product is cut in blocks of outputs, whose codes are sent home."""
    assert_equal(checked(DATA / "mlperf_tiny" / "resnet8_int8.onnx", "tiny", None, 2))


@pytest.mark.skipif(not DATA.is_dir(), reason="no networks in ../shared/data")
def test_resnet8_keeps_its_accuracy() -> None:
    """On all 10,000 images both have 75.45 %; onnxruntime in floats has 75.48 %."""
    model = DATA / "mlperf_tiny" / "resnet8_int8.onnx"
    with np.load(DATA / "cifar10" / "cifar10_jpeg_test.npz") as data:
        pixels, labels = data["x"][:400], data["y"][:400]
    compilation = compile_model(model, "dcim22")
    name = compilation.program.inputs[0].name
    codes = (pixels.astype(np.int16) - 128).astype(np.int8)
    labelled = Samples({name: codes}, "cifar10", labels)
    result = verify_program(compilation.program, model, labelled.first(8), labelled=labelled)
    assert_equal(result)
    assert result.accuracy is not None
    assert result.accuracy.machine == pytest.approx(result.accuracy.float_, abs=0.005)
    assert 0.72 < result.accuracy.machine < 0.79
