"""Images a second: the machine beside onnxruntime in float32, on as many threads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime

import imcc
from imcc.isa import builtin_targets

MODELS = Path(__file__).parents[1] / "models"


def rate(run: Callable[[], object], images: int, seconds: float) -> float:
    """Images a second: the best of the runs that fit into `seconds`, after one to warm up."""
    run()
    best = float("inf")
    end = perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        run()
        best = min(best, perf_counter() - start)
    return images / best


def float_session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    """The float network with all of onnxruntime's optimizations."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODELS / "fmnist_resnet8.onnx")
    parser.add_argument("--data", type=Path, default=MODELS / "fmnist.npz")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    data = np.load(options.data)
    x = data["x"][: options.batch].astype(np.float32)
    calibration = data["calib"].astype(np.float32)
    graph = imcc.compiler.import_onnx(options.model)
    inputs = {graph.inputs[0].name: x}
    session = float_session(options.model, options.threads)
    reference = rate(lambda: session.run(None, inputs), len(x), options.seconds)
    print(f"{options.model.stem}, batch {len(x)}, threads {options.threads}")
    print(f"{'':24}{'images/s':>10}{'of float':>10}")
    print(f"{'onnxruntime float32':24}{reference:10.0f}{1:10.2f}")
    for target in builtin_targets():
        program = imcc.compile(options.model, target, calibration=calibration)
        machine = imcc.runtime.Machine(program, threads=options.threads)
        speed = rate(lambda run=machine.run: run(inputs), len(x), options.seconds)
        print(f"{f'machine, {target}':24}{speed:10.0f}{speed / reference:10.2f}")


if __name__ == "__main__":
    main()
