"""Latency and interval of networks of true size on a chip, beside what no program is faster than.

    python benchmarks/schedules.py [--target isaac] [--set KEY=VALUE ...] [--run] [NAME ...]

Weights are random. For each schedule that streams rows: the time of the simulated program, the
bound of `compiler/mapping/bounds.py` with the term that makes it, and their ratio. `--run` executes
the program on one image and compares it with the tiled graph.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.topologies import topology

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.errors import CompileError
from imcc.compiler.ir import Graph, evaluate
from imcc.compiler.mapping.bounds import Bound, Resources, Traffic, latency_bound, period_bound
from imcc.compiler.mapping.regions import Cutter
from imcc.compiler.mapping.replicate import Layer, longest_paths
from imcc.compiler.mapping.tiling import footprint
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.schedule.scratch import rows_of, windows_per_row
from imcc.isa import Program
from imcc.runtime import Machine, profile

NETWORKS = (
    "resnet18",
    "resnet50",
    "squeezenet1_1",
    "googlenet",
    "mobilenet_v2",
    "inception_v3",
)
MODES = (ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT)


def layers_of(compilation: Compilation) -> list[Layer]:
    """The products of a network as bounds see them."""
    tiled = compilation.tiled
    nodes = [node for node, _ in tiled.products()]
    found = []
    for node, op in tiled.products():
        weight = tiled.graph.constants[node.operands[1].name]
        cutter = Cutter(node, op.product, weight, tiled.target, compilation.options.adc)
        print_ = footprint(cutter)
        rows = len({tile.k for tile in op.plan.shards[0].matrix.tiles})
        windows = rows_of(node) * windows_per_row(node)
        found.append(Layer(node.label, windows, print_.arrays, rows, print_.window_time))
    edges = _edges(tiled.graph, [node.result.name for node in nodes])
    paths = longest_paths([layer.window_time for layer in found], edges)
    return [
        Layer(
            *(getattr(n, f) for f in ("name", "windows", "arrays", "row_blocks", "window_time")), *p
        )
        for n, p in zip(found, paths, strict=True)
    ]


def _edges(graph: Graph, products: list[str]) -> set[tuple[int, int]]:
    """From each product to those that read what came of it, with no product between."""
    before: dict[str, set[int]] = {}
    edges = set()
    for node in graph.nodes:
        sources = set().union(*(before.get(value.name, set()) for value in node.operands))
        name = node.results[0].name
        if name in products:
            index = products.index(name)
            edges |= {(source, index) for source in sources}
            sources = {index}
        before.update((value.name, sources) for value in node.results)
    return edges


def traffic_of(program: Program) -> Traffic:
    """Inputs and outputs pass the global memory once; what cores must exchange is not known."""
    sizes = [binding.size for binding in (*program.inputs, *program.outputs)]
    return Traffic(memory_bytes=sum(sizes))


def _term(bound: Bound) -> str:
    names = ("replication", "issue", "memory", "network")
    return max(names, key=lambda name: float(getattr(bound, name)))


def line(name: str, mode: ScheduleMode, arguments: argparse.Namespace) -> str:
    """One network in one schedule."""
    chip = load_chip(arguments.target, tuple(arguments.set))
    data = topology(name).SerializeToString()
    begun = time.perf_counter()
    try:
        compilation = compile_model(data, chip, CompileOptions(schedule=mode), "random")
    except CompileError as error:
        return f"{name:16} {mode:10} NOT COMPILED: {str(error)[:200]}"
    seconds = time.perf_counter() - begun
    program = compilation.program
    times = profile(program, inputs=4)
    layers, resources = layers_of(compilation), Resources.of(chip)
    bounds = latency_bound if mode is ScheduleMode.LATENCY else period_bound
    bound = bounds(layers, resources, traffic_of(program))
    taken = times.latency_us if mode is ScheduleMode.LATENCY else times.interval_us
    instructions = sum(map(len, program.cores.values()))
    return (
        f"{name:16} {mode:10} latency {times.latency_us:9.1f} us  interval "
        f"{times.interval_us:9.1f} us  bound {bound.value / 1e3:8.1f} us ({_term(bound)})  "
        f"ratio {taken * 1e3 / bound.value:6.2f}  {instructions} instructions  "
        f"compiled in {seconds:.1f} s{_run(compilation) if arguments.run else ''}"
    )


def _run(compilation: Compilation) -> str:
    """Compare one image on the machine with the tiled graph."""
    graph, random = compilation.tiled.graph, np.random.default_rng(1)
    image = {v.name: random.standard_normal(v.type.shape).astype(np.float32) for v in graph.inputs}
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
    arguments = parser.parse_args()
    for name in arguments.names or NETWORKS:
        for mode in MODES:
            print(line(name, mode, arguments), flush=True)


if __name__ == "__main__":
    main()
