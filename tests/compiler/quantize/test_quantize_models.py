"""Whole trained networks: onnxruntime agrees on every output, and accuracy is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from imcc.compiler.data import find_beside
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, evaluate
from imcc.compiler.passes import PassContext, Pipeline
from imcc.compiler.passes.quantize import Quantize
from imcc.compiler.quantize import Method, OnnxRuntimeWitness, export_qdq, sample_batches

ROOT = Path(__file__).parents[3]
BUNDLED = sorted((ROOT / "models").glob("*.onnx"))
SHARED = ROOT.parent / "shared" / "data"
FLOAT_PASSES = "fold-constants,canonicalize,fold-batch-norm,lower-batch-norm,canonicalize"
HALF_A_POINT = 0.005


def float_outputs(path: Path, data: Array) -> Array:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    rows = len(data) if isinstance(x.shape[0], str) else 1
    parts = [session.run(None, {x.name: data[i : i + rows]})[0] for i in range(0, len(data), rows)]
    return np.concatenate(parts)


def differences_and_accuracies(
    path: Path, calibration: Array, data: Array, labels: Array, quantize: Quantize
) -> tuple[int, float, float]:
    """Outputs that differ from onnxruntime's, accuracy of the float model and of the codes."""
    imported = import_onnx(path)
    context = PassContext(samples=lambda: sample_batches(calibration, imported.inputs))
    pipeline = Pipeline((*Pipeline.parse(FLOAT_PASSES).passes, quantize))
    graph = pipeline.run(imported, context)
    inputs = {graph.inputs[0].name: data}
    witness = OnnxRuntimeWitness(export_qdq(graph))
    assert witness.unfused == ()
    (ours,), (theirs,) = evaluate(graph, inputs).values(), witness.run(inputs).values()

    def accuracy(scores: Array) -> float:
        return float((scores.reshape(len(labels), -1).argmax(1) == labels).mean())

    return int((ours != theirs).sum()), accuracy(float_outputs(path, data)), accuracy(ours)


def bundled_data(path: Path) -> tuple[Array, Array, Array]:
    """Calibration samples, test samples and labels that lie beside a model."""
    beside = find_beside(path)
    assert beside is not None
    arrays = np.load(beside)
    return arrays["calib"].astype(np.float32), arrays["x"].astype(np.float32), arrays["y"]


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_bundled_models_keep_their_accuracy(path: Path) -> None:
    calibration, data, labels = bundled_data(path)
    different, real, codes = differences_and_accuracies(path, calibration, data, labels, Quantize())
    assert different == 0
    assert codes >= real - HALF_A_POINT


@pytest.mark.parametrize(
    "quantize",
    [
        Quantize(method=Method.MIN_MAX),
        Quantize(method=Method.PERCENTILE, percentile=99.9),
        Quantize(method=Method.MSE),
        Quantize(weight_bits=4, activation_bits=5),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_every_method_and_width_equals_onnxruntime(path: Path, quantize: Quantize) -> None:
    calibration, data, labels = bundled_data(path)
    different, _, _ = differences_and_accuracies(
        path, calibration[:100], data[:200], labels[:200], quantize
    )
    assert different == 0


def pixels(images: Array) -> Array:
    return images.astype(np.float32)


def standardized(images: Array) -> Array:
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    scaled = (images.astype(np.float32) / np.float32(255) - mean) / deviation
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the networks that are not bundled are absent")
@pytest.mark.parametrize(
    ("model", "prepare"),
    [("mlperf_tiny/resnet8_float.onnx", pixels), ("cifar10/resnet20_raw.onnx", standardized)],
)
def test_residual_networks_on_images(model: str, prepare: Callable[[Array], Array]) -> None:
    """On 60 images; the accuracies on all are in the documentation."""
    arrays = np.load(SHARED / "cifar10" / "cifar10_jpeg_small.npz")
    data, calibration = prepare(arrays["x_test"][:60]), prepare(arrays["x_calib"][:64])
    labels = float_outputs(SHARED / model, data).argmax(1)
    different, _, agreement = differences_and_accuracies(
        SHARED / model, calibration, data, labels, Quantize()
    )
    assert different <= 1  # softmax of ResNet-8: about one output in 1e5 differs
    assert agreement >= 0.95
