"""Which operations work on one input together, and which on the next meanwhile."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from support.topologies import topology

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.ir import evaluate, verify
from imcc.compiler.ir.op import Stage
from imcc.compiler.ir.ops.quantized import QConcat
from imcc.compiler.ir.ops.spill import Spill
from imcc.compiler.ir.ops.tiled import Tiled
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.schedule.phase_rows import rows_in_phases
from imcc.compiler.schedule.pipeline import inputs_fit, pipeline_phases

MODELS = Path(__file__).parents[3] / "models"


def compiled(name: str, mode: ScheduleMode, *values: str) -> Compilation:
    model = MODELS / f"{name}.onnx"
    data = model if model.exists() else topology(name).SerializeToString()
    return compile_model(
        data, load_chip("pimcomp", values), CompileOptions(schedule=mode), "random"
    )


def test_phases_are_for_throughput_where_the_global_memory_is_quick() -> None:
    """At 3 bytes a cycle it is behind the cores, and with a network of 1 before that again.

    Of ten products two are shortcuts, each on the cores of what it is added to.
    """
    memory, network = "timing.global_bytes_per_cycle=3", "timing.noc_bytes_per_cycle=1"
    assert compiled("fmnist_resnet8", ScheduleMode.THROUGHPUT).program.phases == 8
    assert compiled("fmnist_resnet8", ScheduleMode.LATENCY).program.phases == 1
    assert compiled("fmnist_resnet8", ScheduleMode.THROUGHPUT, memory).program.phases == 1
    assert compiled("fmnist_resnet8", ScheduleMode.THROUGHPUT, memory, network).program.phases == 8


def test_inputs_on_their_way_must_fit_the_global_memory() -> None:
    """Twice the weights, and each input with what waits of it as often as there are phases.

    Each of 58 products and 9 concatenations begins one.
    """
    tiled = compiled("googlenet_64", ScheduleMode.LATENCY).tiled
    cut = rows_in_phases(tiled, pipeline_phases(tiled))
    waiting = sum(n.result.type.size for n in cut.graph.nodes if isinstance(n.op, Spill))
    weights = sum(array.nbytes for array in tiled.graph.constants.values())
    needed = 2 * weights + 67 * (waiting + 4 * (3 * 64 * 64 + 1000))
    for size, fits in ((needed >> 20, False), ((needed >> 20) + 1, True)):
        chip = load_chip("pimcomp", (f"chip.global_memory_mib={size}",))
        assert inputs_fit(replace(tiled, target=chip), cut) is fits


@pytest.mark.parametrize("name", ["fmnist_resnet8", "vit_micro"])
def test_phases_hand_on_through_global_memory_alone(name: str) -> None:
    tiled = compiled(name, ScheduleMode.LATENCY, "core.local_memory_kib=4096").tiled
    phases = pipeline_phases(tiled)
    numbers = [phases[node.result.name] for node, _ in tiled.products()]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 1
    cut = rows_in_phases(tiled, phases)
    verify(cut.graph, Stage.TILED)
    for node in cut.graph.nodes:
        for value in node.operands:
            made = cut.graph.producer(value)
            if made is not None and cut.phase_of(made) != cut.phase_of(node):
                assert isinstance(made.op, Spill) or not cut.graph.producer(made.operands[0])
    random = np.random.default_rng(4)
    inputs = {
        value.name: random.normal(0, 1, (1, *value.type.shape[1:])).astype(np.float32)
        for value in tiled.graph.inputs
    }
    found = evaluate(cut.graph, inputs)
    for output, codes in evaluate(tiled.graph, inputs).items():
        np.testing.assert_array_equal(found[output], codes)


def test_concatenations_of_channels_are_not_made() -> None:
    """GoogLeNet has nine; their operands are looked up where their codes differ."""
    tiled = compiled("googlenet_64", ScheduleMode.LATENCY).tiled
    joined = [node for node in tiled.graph.nodes if isinstance(node.op, QConcat)]
    assert len(joined) == 9
    cut = rows_in_phases(tiled, pipeline_phases(tiled))
    assert all(len(n.operands) == 1 for n in cut.graph.nodes if isinstance(n.op, QConcat))


def test_groups_make_rows_that_lie_together() -> None:
    """In each strip of columns a core comes once, with all its rows behind each other."""
    tiled = compiled("fmnist_resnet8", ScheduleMode.LATENCY).tiled
    cut = rows_in_phases(tiled, pipeline_phases(tiled))
    cores: dict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
    for node in cut.graph.nodes:
        block = cut.blocks.get(node.results[0].name)
        if isinstance(node.op, Tiled) and block is not None:
            cores[block.whole, block.starts[1:]].append(cut.cores[node.result.name])
    assert any(len(set(strip)) > 1 for strip in cores.values())
    for strip in cores.values():
        runs = [core for core, _ in groupby(strip)]
        assert len(runs) == len(set(runs))
