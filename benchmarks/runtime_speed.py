"""Images a second: the machine beside onnxruntime in float32, in one run, on as many threads.

    python benchmarks/runtime_speed.py [--batch N] [--threads N] [--network NAME] [MODEL.onnx ...]

Without models it takes the bundled ResNet-8 and, where ``../shared/data`` lies beside the
checkout, ResNet-20 (40.8 million multiplications an image). Inputs are random: the time does not
depend on them where converters are lossless.

`--network` takes one of true size with random weights instead, such as resnet18, on ISAAC: layer by
layer with 4 MiB of local memory a core, and as rows that stream with 256 KiB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime

import imcc
from imcc.compiler.cli.chip import load_chip
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.threads import thread_count
from imcc.isa import Program, builtin_targets

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.topologies import topology

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


def bundled_programs(model: Path) -> Iterator[tuple[str, Program]]:
    """A model compiled for every target that ships with imcc."""
    for target in builtin_targets():
        yield target, imcc.compile(model, target, calibration="random")


def large_programs(model: Path) -> Iterator[tuple[str, Program]]:
    """A network of true size in both kinds of schedule."""
    for mode, kib in ((ScheduleMode.LAYERS, 4096), (ScheduleMode.THROUGHPUT, 256)):
        chip = load_chip("isaac", (f"core.local_memory_kib={kib}",))
        yield mode.value, imcc.compile(model, chip, calibration="random", schedule=mode)


def measure(
    model: Path,
    programs: Iterator[tuple[str, Program]],
    options: argparse.Namespace,
    batch: int,
) -> None:
    """Print one table."""
    (value,) = imcc.compiler.import_onnx(model).inputs
    shape = (batch, *value.type.shape[1:])
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    run = float_run(model, x, options.threads)
    reference, best = rate(run, batch, options.seconds)
    print(f"{model.stem}, batch {batch}, threads {options.threads}")
    print(f"{'':28}{'images/s':>10}{'best':>10}{'of float':>10}")
    print(f"{'onnxruntime float32':28}{reference:10.1f}{best:10.1f}{1:10.2f}")
    for name, program in programs:
        machine = imcc.runtime.Machine(program, threads=options.threads)
        speed, best = rate(lambda run=machine.run: run({value.name: x}), batch, options.seconds)
        ratio = speed / reference
        print(f"{f'machine, {name}':28}{speed:10.1f}{best:10.1f}{ratio:10.2f}", flush=True)


def main() -> None:
    """Measure all networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--batch", type=int, help="100; 8 of --network")
    parser.add_argument("--network", metavar="NAME")
    parser.add_argument("--threads", type=int, default=thread_count())
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if options.network:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / f"{options.network}.onnx"
            model.write_bytes(topology(options.network).SerializeToString())
            measure(model, large_programs(model), options, options.batch or 8)
        return
    for model in models(options.models):
        measure(model, bundled_programs(model), options, options.batch or 100)


if __name__ == "__main__":
    main()
