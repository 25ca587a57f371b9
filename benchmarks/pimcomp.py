"""Streamed networks on PIMCOMP's machine, by our simulator and by PIMCOMP's own cost model.

    python benchmarks/pimcomp.py [--mvm-ns 800|4000] [--unfolding auto|im2col] [--run] [NAME ...]

Each network is compiled for the target `pimcomp` in both schedules that stream rows. Printed are
its latency and interval as `imcc profile` counts them and as PIMCOMP's evaluator does (`evaluator`,
with the time that the busiest resource of the program is taken), the best result of PIMCOMP (as
built; for 4000 ns of two networks only) and the bound that no program is faster than, by term. In
us. Weights are random; counts and times do not depend on them. `--run` executes the program on one
image and compares it with the tiled graph. PIMCOMP has one window of a convolution at a time
(`im2col`).

PIMCOMP's programs for high throughput contain no pooling, addition, concatenation or ReLU behind
an addition; with these put back, it is at 0.488 ms (ResNet-18), 1.721 (ResNet-50), 0.876
(GoogLeNet) and 0.411 (SqueezeNet). Ours contain everything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.topologies import topology

from imcc.compiler.cli.bounds import bound_text
from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.errors import CompileError
from imcc.compiler.ir import evaluate as evaluate_graph
from imcc.compiler.mapping import KernelUnfolding
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.runtime import Machine, profile
from imcc.runtime.timing.pimcomp import Evaluation, Rates, evaluate

MODES = (ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT)


@dataclass(frozen=True)
class Published:
    """The best of all runs of PIMCOMP-NN (2ed10c8) in us: latency, and period without pooling."""

    latency: float | None
    period: float | None


NOWHERE = Published(None, None)
BEST = {
    800: {
        "resnet18": Published(2_034.0, 308.0),
        "squeezenet1_1": Published(894.0, 185.0),
        "resnet50": Published(3_957.0, 801.0),
        "googlenet": Published(3_646.0, 371.0),
        "mobilenet_v2": Published(7_853.0, 1_044.0),
        "vgg16": Published(17_970.0, 13_135.0),
    },
    4000: {
        "resnet18": Published(5_297.0, 369.0),
        "squeezenet1_1": Published(1_536.0, 249.0),
        "vgg16": Published(76_684.0, 16_325.0),
    },
}


def lines(name: str, mode: ScheduleMode, arguments: argparse.Namespace) -> Iterator[str]:
    """One network in one schedule."""
    changes = (f"timing.t_step_ns={float(arguments.mvm_ns)}", *arguments.set)
    chip = load_chip("pimcomp", changes)
    begun = time.perf_counter()
    data = topology(name).SerializeToString()
    try:
        options = CompileOptions(schedule=mode, unfolding=arguments.unfolding)
        compilation = compile_model(data, chip, options, "random")
    except CompileError as error:
        yield f"{name} {mode}: NOT COMPILED: {str(error)[:300]}"
        return
    seconds = time.perf_counter() - begun
    program, bounds = compilation.program, compilation.bounds
    best = BEST[arguments.mvm_ns].get(name, NOWHERE)
    times = profile(program)
    found = evaluate(program, Rates(mvm_ns=arguments.mvm_ns))
    instructions = sum(map(len, program.cores.values()))
    arrays = len({(m.core, tile.array) for m in program.matrices for tile in m.tiles})
    yield (
        f"{name} {mode}: {arrays} arrays on {len(program.cores)} cores, {instructions} "
        f"instructions, compiled in {seconds:.1f} s; {found.mvmuls} MVMUL, "
        f"{found.array_reads} crossbar reads{_run(compilation) if arguments.run else ''}"
    )
    yield _row("", "simulator", "evaluator", "PIMCOMP", "bound")
    for kind, ours, theirs, published in (
        ("latency", times.latency_us, found.latency_ns, best.latency),
        ("interval", times.interval_us, found.period_ns, best.period),
    ):
        bound = "-" if bounds is None else bound_text(getattr(bounds, kind))
        shown = "-" if published is None else f"{published:.0f}"
        yield _row(kind, f"{ours:.1f}", f"{theirs / 1e3:.1f}", shown, bound)
    yield f"    in the evaluator an input takes {_floors(found)}"


def _row(*cells: str) -> str:
    kind, simulator, evaluator, published, bound = cells
    return f"    {kind:9}{simulator:>11}{evaluator:>11}{published:>9}  {bound}"


def _floors(found: Evaluation) -> str:
    """What no period of this program can be shorter than."""
    floors = {
        "starts of the busiest core": found.start_ns,
        "bus": found.bus_ns,
        "global memory": found.memory_ns,
    }
    return ", ".join(f"{ns / 1e3:.1f} us of {name}" for name, ns in floors.items())


def _run(compilation: Compilation) -> str:
    """Compare one image on the machine with the tiled graph."""
    graph, random = compilation.tiled.graph, np.random.default_rng(1)
    image = {v.name: random.standard_normal(v.type.shape).astype(np.float32) for v in graph.inputs}
    found = Machine(compilation.program).run(image)
    expected = evaluate_graph(graph, image)
    equal = all(np.array_equal(found[name], array) for name, array in expected.items())
    return "; equal to the graph" if equal else "; NOT EQUAL to the graph"


def main() -> None:
    """Print a block for each network and schedule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--mvm-ns", type=int, choices=sorted(BEST), default=800)
    parser.add_argument(
        "--unfolding", type=KernelUnfolding, choices=KernelUnfolding, default=KernelUnfolding.AUTO
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--run", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names or BEST[800]:
        for mode in MODES:
            print(*lines(name, mode, arguments), sep="\n", flush=True)


if __name__ == "__main__":
    main()
