"""Images a second: the machine beside onnxruntime in float32, in one run, on as many threads.

    python benchmarks/runtime_speed.py [--batch 100] [--threads N] [MODEL.onnx ...]

Without models it takes the bundled ResNet-8 and, where ``../shared/data`` lies beside the
checkout, ResNet-20 (40.8 million multiplications an image). Inputs are random: the time does not
depend on them where converters are lossless.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime

import imcc
from imcc.compiler.threads import thread_count
from imcc.isa import builtin_targets

ROOT = Path(__file__).parents[1]
RESNET20 = ROOT.parent / "shared" / "data" / "cifar10" / "resnet20.onnx"


def rate(run: Callable[[], object], images: int, seconds: float) -> tuple[float, float]:
    """Images a second, median and best of the runs that fit into `seconds`, one before them."""
    run()
    times = []
    end = perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return images / float(np.median(times)), images / min(times)


def float_run(model: Path, x: np.ndarray, threads: int) -> Callable[[], object]:
    """The float network with all of onnxruntime's optimizations; one by one if its batch is 1."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    parts = [x[i : i + 1] for i in range(len(x))] if entry.shape[0] == 1 else [x]
    return lambda: [session.run(None, {entry.name: part}) for part in parts]


def models(chosen: list[Path]) -> Iterator[Path]:
    """The networks to measure."""
    yield from chosen or [ROOT / "models" / "fmnist_resnet8.onnx"]
    if not chosen and RESNET20.exists():
        yield RESNET20


def measure(model: Path, batch: int, threads: int, seconds: float) -> None:
    """Print one table."""
    (value,) = imcc.compiler.import_onnx(model).inputs
    shape = (batch, *value.type.shape[1:])
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    reference, best = rate(float_run(model, x, threads), batch, seconds)
    print(f"{model.stem}, batch {batch}, threads {threads}")
    print(f"{'':24}{'images/s':>10}{'best':>10}{'of float':>10}")
    print(f"{'onnxruntime float32':24}{reference:10.0f}{best:10.0f}{1:10.2f}")
    for target in builtin_targets():
        program = imcc.compile(model, target, calibration="random")
        machine = imcc.runtime.Machine(program, threads=threads)
        speed, best = rate(lambda run=machine.run: run({value.name: x}), batch, seconds)
        ratio = speed / reference
        print(f"{f'machine, {target}':24}{speed:10.0f}{best:10.0f}{ratio:10.2f}", flush=True)


def main() -> None:
    """Measure all networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=thread_count())
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    for model in models(options.models):
        measure(model, options.batch, options.threads, options.seconds)


if __name__ == "__main__":
    main()
