"""Networks as PyTorch exports them, from ONNX to the machine, with random weights and inputs.

    python benchmarks/topologies.py [--samples 2] [--schedule latency] [--check-only] [NAME ...]

The chip is isaac with as many cores and as much memory as the networks take. Prints one line a
network: seconds of `imcc check` (whole process), of compiling and of running, instructions, what
`imcc verify` compared (differences/elements), the SQNR of the outputs against floats, and the
nodes that run on the host.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.topologies import names, topology

from imcc.compiler.driver import compile_model
from imcc.compiler.errors import CompileError
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.verify import verify_program
from imcc.compiler.verify.machine import find_samples
from imcc.isa import Target, load_target

SIZES = {"chip.mesh_rows": 64, "chip.mesh_cols": 64, "chip.global_memory_mib": 4096}
MEMORY = {"core.local_memory_kib": 16384}


def large_chip() -> Target:
    """Isaac, but for the number of cores and the sizes of memories."""
    target = load_target("isaac")
    for key, value in {**SIZES, **MEMORY}.items():
        table, field = key.split(".")
        changed = getattr(target, table).model_copy(update={field: value})
        target = target.model_copy(update={table: changed})
    return target


def check_seconds(path: Path) -> tuple[float, int]:
    """Time and exit status of `imcc check`."""
    settings = [
        part for key, value in {**SIZES, **MEMORY}.items() for part in ("--set", f"{key}={value}")
    ]
    begun = time.perf_counter()
    command = [
        str(Path(sys.executable).with_name("imcc")),
        "check",
        str(path),
        "--target",
        "isaac",
        *settings,
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - begun, done.returncode


def line(name: str, samples: int, mode: ScheduleMode, check_only: bool) -> str:
    """Take one network through everything."""
    model = topology(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        onnx.save(model, path)
        seconds, status = check_seconds(path)
        text = f"{name:34} check {seconds:5.2f} s ({status})"
        return text if check_only else f"{text}  {_run(path, samples, mode)}"


def _run(path: Path, samples: int, mode: ScheduleMode) -> str:
    begun = time.perf_counter()
    try:
        compilation = compile_model(path, large_chip(), CompileOptions(schedule=mode), "random")
    except CompileError as error:
        return f"NOT COMPILED: {str(error)[:400]}"
    compiled = time.perf_counter()
    program = compilation.program
    data = find_samples(program, path, None, 1, samples)
    result = verify_program(program, path, data)
    done = time.perf_counter()
    instructions = sum(len(code) for code in program.cores.values())
    counts = "  ".join(f"{c.differences}/{c.elements}" for c in result.comparisons)
    sqnr = "-" if result.sqnr is None else f"{result.sqnr:.1f} dB"
    verdict = "equal" if result.passed else "NOT EQUAL"
    return (
        f"compile {compiled - begun:.1f} s  verify {done - compiled:.1f} s  "
        f"{instructions} instructions  {counts}  {verdict}  {sqnr}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--schedule", type=ScheduleMode, default=ScheduleMode.LAYERS)
    parser.add_argument("--check-only", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names or names():
        print(line(name, arguments.samples, arguments.schedule, arguments.check_only), flush=True)


if __name__ == "__main__":
    main()
