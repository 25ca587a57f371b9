"""Models that are quantized already: machine, graphs and onnxruntime on that very model.

    python benchmarks/quantized_models.py [--samples 32] [--target NAME ...] [--network NAME ...]
    python benchmarks/quantized_models.py --accuracy

Takes what onnxruntime's quantizer writes of every bundled network: QDQ and QOperator, per tensor
and per channel, signed and unsigned, weights of 8 and 4 bits. Where ``../shared/data`` lies beside
the checkout, also MLPerf Tiny's four INT8 networks, and the QONNX networks TFC, whose witness is
what the package `qonnx` computed for the first test digits. Prints one line for each model and
target: elements compared and differences found between machine, tiled graph and quantized graph;
then output codes compared with the witness, how many differ, and by how many steps at most.

With ``--accuracy`` it counts top-1 of MLPerf Tiny's INT8 ResNet-8 on 10,000 images instead: of the
machine, of onnxruntime with integer kernels, and of onnxruntime with float kernels.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from imcc.compiler.data import Samples, find_beside
from imcc.compiler.driver import UNCALIBRATED, Compilation, compile_model
from imcc.compiler.errors import CompileError
from imcc.compiler.quantize.witness import witness_of
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.floats import FloatWitness, run_samples
from imcc.compiler.verify.machine import find_samples, run_all
from imcc.isa import builtin_targets
from imcc.runtime import Machine

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
REFERENCE = ROOT / "tests" / "differential" / "tfc_reference.npz"
TINY = ("resnet8", "kws_dscnn", "vww_mobilenet", "ad_autoencoder")
TFC = ("1W1A", "1W2A", "2W2A")
CALIBRATION_SAMPLES = 128
BATCH = 500
_TYPES = {
    "u8": QuantType.QUInt8,
    "s8": QuantType.QInt8,
    "u4": QuantType.QUInt4,
    "s4": QuantType.QInt4,
}
# Types of activations and weights. The quantizer writes weights of 4 bits in QDQ form only.
_PAIRS = {
    "QDQ": ("u8u8", "u8s8", "s8s8", "u8u4", "u8s4", "s8s4"),
    "QOperator": ("u8u8", "u8s8", "s8s8"),
}

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Case:
    """A quantized model; `reference` is what else computed its outputs, for the first samples."""

    name: str
    model: Path
    samples: Samples | None = None
    reference: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Variant:
    """A way in which onnxruntime quantizes a network."""

    source: Path
    form: str
    pair: str
    per_channel: bool

    @property
    def name(self) -> str:
        """The network and the options."""
        granularity = "channel" if self.per_channel else "tensor"
        return f"{self.source.stem} {self.form} {self.pair} {granularity}"


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Calibration samples for onnxruntime's quantizer."""

    def __init__(self, name: str, samples: NDArray[np.float32]) -> None:
        self._batches = iter([{name: samples[i : i + 8]} for i in range(0, len(samples), 8)])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch."""
        return next(self._batches, None)


def variants() -> Iterator[Variant]:
    """All bundled networks in all ways."""
    for source in sorted((ROOT / "models").glob("*.onnx")):
        for form, per_channel in itertools.product(_PAIRS, (False, True)):
            for pair in _PAIRS[form]:
                yield Variant(source, form, pair, per_channel)


def quantized(variant: Variant, directory: Path) -> Path:
    """The model as onnxruntime's quantizer writes it, beside its data."""
    data = find_beside(variant.source)
    assert data is not None  # all bundled networks have it
    with np.load(data) as arrays:
        samples = arrays["calib"][:CALIBRATION_SAMPLES].astype(np.float32)
    path = directory / f"{data.stem}_quantized.onnx"
    (directory / data.name).unlink(missing_ok=True)
    (directory / data.name).symlink_to(data)
    quantize_static(
        variant.source,
        path,
        Reader(onnx.load(variant.source).graph.input[0].name, samples),
        quant_format=QuantFormat[variant.form],
        activation_type=_TYPES[variant.pair[:2]],
        weight_type=_TYPES[variant.pair[2:]],
        per_channel=variant.per_channel,
    )
    return path


def shared() -> Iterator[Case]:
    """The networks of the shared data that are present."""
    for name in TINY:
        path = SHARED / "mlperf_tiny" / f"{name}_int8.onnx"
        if path.exists():
            yield Case(f"MLPerf Tiny {name}", path)
    for name in TFC:
        path = SHARED / "qonnx" / f"TFC_{name}.onnx"
        if path.exists():
            yield _tfc(name, path)


def _tfc(name: str, path: Path) -> Case:
    with np.load(SHARED / "mnist" / "mnist_small.npz") as arrays, np.load(REFERENCE) as reference:
        outputs = reference[name]
        x = arrays[str(reference["digits"])][: len(outputs)]
    pixels = x.reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
    samples = Samples({onnx.load(path).graph.input[0].name: pixels}, "MNIST")
    return Case(f"QONNX TFC {name}", path, samples, outputs)


def steps(case: Case, compilation: Compilation, samples: Samples) -> NDArray[np.int64]:
    """By how many codes each output of the machine differs from the witness."""
    found, expected = run_all(compilation.program, samples), _witnessed(case, compilation, samples)
    apart = []
    for binding in compilation.program.outputs:
        unit = np.float64(binding.scale or 1.0)
        codes = [np.rint(a[binding.name].astype(np.float64) / unit) for a in (found, expected)]
        apart.append(np.abs(codes[0] - codes[1].reshape(codes[0].shape)).astype(np.int64))
    return np.concatenate([part.reshape(-1) for part in apart])


def _witnessed(case: Case, compilation: Compilation, samples: Samples) -> Arrays:
    if case.reference is not None:
        return {compilation.program.outputs[0].name: case.reference[: samples.count]}
    witness = witness_of(onnx.load(case.model), compilation.imported)
    return run_samples(compilation.imported, witness.run, samples.inputs)


def line(case: Case, target: str, count: int) -> str:
    """Compile and verify one model."""
    begun = time.perf_counter()
    try:
        compilation = compile_model(case.model, target)
        program = compilation.program
        samples = case.samples or find_samples(program, case.model, None, 1, count)
        samples = samples.first(count)
        result = verify_program(program, case.model, samples)
        apart = steps(case, compilation, samples)
    except CompileError as error:
        return f"{case.name:40} {target:8} {str(error).splitlines()[0]}"
    inside = result.comparisons[:-1]
    exact = f"{sum(c.differences for c in inside)}/{sum(c.elements for c in inside)}"
    beside = f"{np.count_nonzero(apart)}/{apart.size} at most {apart.max()}"
    part = "" if result.calibration == UNCALIBRATED else "  float parts calibrated"
    reason = result.comparisons[-1].reason
    why = f"  ({reason})" if reason and apart.any() else ""
    return (
        f"{case.name:40} {target:8} {exact:>12}  {beside}{part}{why} "
        f"{time.perf_counter() - begun:.0f} s"
    )


def accuracy() -> None:
    """Top-1 of MLPerf Tiny's INT8 ResNet-8."""
    model = SHARED / "mlperf_tiny" / "resnet8_int8.onnx"
    with np.load(SHARED / "cifar10" / "cifar10_jpeg_test.npz") as data:
        codes, labels = (data["x"].astype(np.int16) - 128).astype(np.int8), data["y"]
    compilation = compile_model(model, "dcim22")
    machine = Machine(compilation.program)
    integers = witness_of(onnx.load(model), compilation.imported)
    floats = FloatWitness(model, compilation.imported)
    (given,), (binding,) = compilation.program.inputs, compilation.program.outputs
    runs = {
        "imcc": machine.run,
        "onnxruntime, integer kernels": integers.run,
        "onnxruntime, float kernels": floats.run,
    }
    outputs = {}
    for name, run in runs.items():
        parts = [
            run({given.name: codes[i : i + BATCH]})[binding.name]
            for i in range(0, len(codes), BATCH)
        ]
        outputs[name] = np.concatenate(parts)
        right = np.count_nonzero(outputs[name].argmax(axis=1) == labels)
        differences = np.count_nonzero(outputs[name] != outputs["imcc"])
        print(
            f"{name:30} {100 * right / len(labels):.2f} %  "
            f"{differences}/{outputs[name].size} outputs differ from imcc's",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--target", action="append", choices=builtin_targets())
    parser.add_argument("--network", action="append", help="a bundled network's file name")
    parser.add_argument("--accuracy", action="store_true")
    arguments = parser.parse_args()
    if arguments.accuracy:
        accuracy()
        return
    logging.disable(logging.WARNING)  # the quantizer recommends preprocessing
    targets = arguments.target or ["isaac", "dcim22"]
    print("differences/elements between machine, tiled graph and quantized graph (every value);")
    print("then output codes that differ from the witness, and by how many steps at most")
    if not arguments.network:
        for case, target in itertools.product(shared(), targets):
            print(line(case, target, arguments.samples), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        for variant in variants():
            if arguments.network and variant.source.stem not in arguments.network:
                continue
            try:
                model = quantized(variant, Path(directory))
            except Exception as error:  # whatever the quantizer raises
                print(f"{variant.name:40} the quantizer fails: {error!s:.60}", flush=True)
                continue
            for target in targets:
                print(line(Case(variant.name, model), target, arguments.samples), flush=True)


if __name__ == "__main__":
    main()
