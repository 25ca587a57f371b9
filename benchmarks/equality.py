"""Machine against tiled graph, quantized graph and onnxruntime: networks times targets.

    python benchmarks/equality.py [--samples 100] [--target NAME ...] [MODEL.onnx ...]

Without models it takes the bundled ones and, where ``../shared/data`` lies beside the checkout,
MLPerf Tiny's float networks and ResNet-20. Samples come from the data beside a model, else they
are random with a fixed seed. Prints one line a pair: elements compared and differences found in
each of the comparisons of `imcc verify`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from imcc.compiler.data import find_beside, random_samples
from imcc.compiler.driver import compile_model
from imcc.compiler.errors import CompileError
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.machine import load_program_samples, program_inputs
from imcc.isa import builtin_targets

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
OTHERS = (
    "mlperf_tiny/resnet8_float.onnx",
    "mlperf_tiny/kws_dscnn_float.onnx",
    "mlperf_tiny/vww_mobilenet_float.onnx",
    "mlperf_tiny/ad_autoencoder_float.onnx",
    "cifar10/resnet20.onnx",
)


def networks() -> Iterator[Path]:
    """Bundled networks, then those of the shared data that are present."""
    yield from sorted((ROOT / "models").glob("*.onnx"))
    yield from (SHARED / name for name in OTHERS if (SHARED / name).exists())


def line(model: Path, target: str, samples: int) -> str:
    """Compile and verify one pair."""
    begun = time.perf_counter()
    beside = find_beside(model)
    try:
        compilation = compile_model(model, target, None, None if beside else "random")
        program = compilation.program
        data = (
            load_program_samples(beside, program).first(samples)
            if beside
            else random_samples(program_inputs(program), 1, samples)
        )
        result = verify_program(program, model, data)
    except CompileError as error:
        return f"{model.stem:24} {target:8} {str(error).splitlines()[0]}"
    counts = "  ".join(f"{c.differences}/{c.elements}" for c in result.comparisons)
    verdict = "equal" if result.passed else "NOT EQUAL"
    return f"{model.stem:24} {target:8} {counts}  {verdict} {time.perf_counter() - begun:.0f} s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--target", action="append", choices=builtin_targets())
    arguments = parser.parse_args()
    print("network                  target   differences/elements: machine = tiled (every value),")
    print("    machine = tiled (outputs), tiled = quantized (every value), quantized = onnxruntime")
    for model in arguments.models or networks():
        for target in arguments.target or builtin_targets():
            print(line(model, target, arguments.samples), flush=True)


if __name__ == "__main__":
    main()
