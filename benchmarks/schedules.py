"""Latency and interval of networks of true size on a chip, beside what no program is faster than.

    python benchmarks/schedules.py [--target isaac] [--set KEY=VALUE ...] [-O N] [--run]
        [--schedule latency|throughput] [NAME ...]

Weights are random. For each schedule that streams rows: the time of the simulated program, the
bound of `compiler/mapping/bounds.py` without its term of dependence, with the term that makes it,
and their ratio; for the latency also the bound by dependence and the ratio to it. Where the
network is larger than the chip, the stages and what is written for an input stand instead of the
bound. `--run` executes the program on one image and compares it with the tiled graph.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.topologies import topology

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.errors import CompileError
from imcc.compiler.ir import Array, Value, evaluate
from imcc.compiler.mapping.bounds import Bound
from imcc.compiler.mapping.reload import reload_of
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.runtime import Machine, Profile, profile

NETWORKS = (
    "resnet18",
    "resnet50",
    "squeezenet1_1",
    "googlenet",
    "mobilenet_v2",
    "inception_v3",
)
MODES = (ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT)


def line(name: str, mode: ScheduleMode, arguments: argparse.Namespace) -> str:
    """One network in one schedule."""
    chip = load_chip(arguments.target, tuple(arguments.set))
    data = topology(name).SerializeToString()
    begun = time.perf_counter()
    try:
        compilation = compile_model(
            data, chip, CompileOptions(arguments.level, schedule=mode), "random"
        )
    except CompileError as error:
        return f"{name:16} {mode:10} NOT COMPILED: {str(error)[:200]}"
    seconds = time.perf_counter() - begun
    program = compilation.program
    times = profile(program, inputs=4)
    instructions = sum(map(len, program.cores.values()))
    return (
        f"{name:16} {mode:10} latency {times.latency_us:9.1f} us  interval "
        f"{times.interval_us:9.1f} us  {_beside(compilation, mode, times)}  "
        f"{instructions} instructions  compiled in {seconds:.1f} s"
        f"{_run(compilation) if arguments.run else ''}"
    )


def _beside(compilation: Compilation, mode: ScheduleMode, times: Profile) -> str:
    """The bound and the ratio to it, or what is reloaded."""
    reload, bounds = reload_of(compilation.tiled), compilation.bounds
    if reload.stages > 1:
        return (
            f"{reload.stages} stages, {reload.bytes / 1e6:.2f} MB written in "
            f"{reload.time_us:.1f} us with {reload.energy_uj:.1f} uJ"
        )
    assert bounds is not None
    latency = mode is ScheduleMode.LATENCY
    bound = bounds.latency if latency else bounds.interval
    taken = times.latency_us if latency else times.interval_us
    others = replace(bound, dependence=0.0)
    text = f"bound {others.value / 1e3:8.1f} us ({others.term})  ratio {_ratio(taken, others)}"
    if not bound.dependence:
        return text
    by_dependence = f"dependence {bound.dependence / 1e3:8.1f} us"
    return f"{text}  {by_dependence}  ratio to the larger of both {_ratio(taken, bound)}"


def _ratio(taken_us: float, bound: Bound) -> str:
    return f"{taken_us * 1e3 / bound.value:6.2f}"


def _sample(value: Value, random: np.random.Generator) -> Array:
    """Real values, or small indices."""
    if value.type.dtype.is_float:
        return random.standard_normal(value.type.shape).astype(np.float32)
    return random.integers(0, 100, value.type.shape).astype(value.type.dtype.numpy)


def _run(compilation: Compilation) -> str:
    """Compare one image on the machine with the tiled graph."""
    graph, random = compilation.tiled.graph, np.random.default_rng(1)
    image = {v.name: _sample(v, random) for v in graph.inputs}
    begun = time.perf_counter()
    found = Machine(compilation.program).run(image)
    seconds = time.perf_counter() - begun
    expected = evaluate(graph, image)
    equal = all(np.array_equal(found[name], array) for name, array in expected.items())
    return f"  {'equal' if equal else 'NOT EQUAL'} (load and one image: {seconds:.1f} s)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--target", default="isaac")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("-O", dest="level", type=int, default=2)
    parser.add_argument("--schedule", type=ScheduleMode, choices=MODES, metavar="MODE")
    arguments = parser.parse_args()
    for name in arguments.names or NETWORKS:
        for mode in MODES if arguments.schedule is None else (arguments.schedule,):
            print(line(name, mode, arguments), flush=True)


if __name__ == "__main__":
    main()
