"""Top-1 of the machine beside that of the float network: what 8 bits cost.

    python benchmarks/accuracy.py [--target NAME ...] [--weight-bits N] [--activation-bits N]

Takes the bundled networks with their samples and, where ``../shared/data`` lies beside the
checkout, MLPerf Tiny's ResNet-8 and ResNet-20 with 10,000 CIFAR-10 images.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imcc.compiler.driver import compile_model
from imcc.compiler.frontend import import_for_compilation
from imcc.compiler.options import CompileOptions
from imcc.compiler.verify.floats import FloatWitness
from imcc.isa import builtin_targets
from imcc.runtime import Machine

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
BATCH = 500


@dataclass(frozen=True)
class Case:
    """A network with calibration samples and labelled samples."""

    model: Path
    calibration: NDArray[np.float32]
    samples: NDArray[np.float32]
    labels: NDArray[np.int64]


def cases() -> Iterator[Case]:
    """All networks with labels."""
    for model in sorted((ROOT / "models").glob("*.onnx")):
        with np.load(ROOT / "models" / f"{model.stem.split('_')[0]}.npz") as data:
            calibration, samples = (data[key].astype(np.float32) for key in ("calib", "x"))
            yield Case(model, calibration, samples, data["y"])
    if SHARED.is_dir():
        yield from _cifar()


def _cifar() -> Iterator[Case]:
    folder = SHARED / "cifar10"
    with np.load(folder / "cifar10_jpeg_small.npz") as small:
        calibration = small["x_calib"]
    with np.load(folder / "cifar10_jpeg_test.npz") as data:
        images, labels = data["x"], data["y"].astype(np.int64)
    raw = (array.astype(np.float32) for array in (calibration, images))
    yield Case(SHARED / "mlperf_tiny" / "resnet8_float.onnx", *raw, labels)
    normal = (_normalized(array) for array in (calibration, images))
    yield Case(folder / "resnet20.onnx", *normal, labels)


def _normalized(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What ResNet-20 was trained on: channels first, mean 0 and deviation 1."""
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
    scaled = (images.astype(np.float32) / 255 - mean) / deviation
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def accuracy(case: Case, outputs: Iterator[NDArray[np.float32]]) -> float:
    """Share of samples whose largest output is at the label."""
    found = np.concatenate([output.argmax(axis=1) for output in outputs])
    return float((found == case.labels).mean())


def batches(case: Case) -> Iterator[NDArray[np.float32]]:
    """The samples in batches."""
    yield from (case.samples[i : i + BATCH] for i in range(0, len(case.samples), BATCH))


def main() -> None:
    """Print one line a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", choices=builtin_targets())
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--activation-bits", type=int, default=8)
    arguments = parser.parse_args()
    targets = arguments.target or ["isaac", "neurram"]
    bits = CompileOptions(
        weight_bits=arguments.weight_bits, activation_bits=arguments.activation_bits
    )
    print(f"{'network':20} samples  float  " + "  ".join(f"{name:>8}" for name in targets))
    for case in cases():
        witness = FloatWitness(case.model, import_for_compilation(case.model).graph)
        reals = (next(iter(witness.run({name: x}).values())) for name, x in named(case))
        scores = [accuracy(case, reals)]
        for target in targets:
            program = compile_model(case.model, target, bits, case.calibration).program
            machine = Machine(program)
            runs = (next(iter(machine.run({name: x}).values())) for name, x in named(case))
            scores.append(accuracy(case, runs))
        shown = "  ".join(f"{100 * score:8.2f}" for score in scores[1:])
        print(
            f"{case.model.stem:20} {len(case.labels):7}  {100 * scores[0]:5.2f}  {shown}",
            flush=True,
        )


def named(case: Case) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The samples in batches, each with the name of the input."""
    import onnx

    name = onnx.load(case.model, load_external_data=False).graph.input[0].name
    yield from ((name, batch) for batch in batches(case))


if __name__ == "__main__":
    main()
