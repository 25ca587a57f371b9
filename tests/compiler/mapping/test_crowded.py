"""A chip with little more room than for its network once: ranges of channels, and pouring."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.ir import evaluate as evaluate_graph
from imcc.compiler.mapping import KernelUnfolding
from imcc.compiler.mapping.tiled_graph import TiledGraph
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.runtime import Machine
from imcc.runtime.timing.pimcomp import evaluate

MODES = (ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT)
STARTS = 144 * 7  # of the second convolution, on one core


def network() -> bytes:
    """Convolutions of 27 and 800 rows with 144 windows each, and two fully connected layers.

    They take 1, 7, 36 and 1 arrays.
    """
    random = np.random.default_rng(3)
    shapes = {"a": (32, 3, 3, 3), "b": (32, 32, 5, 5), "c": (128, 4608), "d": (10, 128)}
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["y"], pads=[1] * 4),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Conv", ["z", "b"], ["u"], pads=[2] * 4),
        helper.make_node("Flatten", ["u"], ["v"]),
        helper.make_node("Gemm", ["v", "c"], ["w"], transB=1),
        helper.make_node("Gemm", ["w", "d"], ["out"], transB=1),
    ]
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("x", [1, 3, 12, 12]), ("out", [1, 10]))
    )
    graph = helper.make_graph(nodes, "crowded", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def compiled(cores: int, arrays: int, mode: ScheduleMode) -> Compilation:
    changes = (f"chip.mesh_cols={cores}", "chip.mesh_rows=1", f"core.arrays={arrays}")
    chip = load_chip("pimcomp", changes)
    return compile_model(
        network(), chip, CompileOptions(schedule=mode, unfolding=KernelUnfolding.IM2COL), "random"
    )


def arrays_used(tiled: TiledGraph) -> Counter[int]:
    """Arrays with something on them, by core."""
    used = {
        (shard.core, tile.array)
        for node, _ in tiled.products()
        for plan in tiled.plans(node)
        for shard in plan.shards
        for tile in shard.matrix.tiles
    }
    return Counter(core for core, _ in used)


@pytest.mark.parametrize("mode", MODES)
def test_a_slow_product_has_ranges_of_channels_and_what_is_read_once_fills_the_rest(
    mode: ScheduleMode,
) -> None:
    """Of 48 arrays there are none for a second group, but two ranges of four row blocks each.

    The large matrix lies in runs of what is left, and is whole; the last one is beside another.
    """
    compilation = compiled(6, 8, mode)
    tiled = compilation.tiled
    tiled.verify()
    _, slow, large, _ = (op.plan.shards for _, op in tiled.products())
    assert [(s.c0, s.c1, s.n0, s.n1) for s in slow] == [(0, 16, 0, 32), (16, 32, 0, 32)]
    assert len({shard.core for shard in slow}) == 2
    assert sum(shard.c1 - shard.c0 for shard in large) == 4608
    assert {shard.core for shard in slow} < {shard.core for shard in large}
    used = arrays_used(tiled)
    assert (sum(used.values()), max(used.values())) == (45, 8)
    assert evaluate(compilation.program).start_ns < 0.6 * STARTS * 200


@pytest.mark.parametrize("mode", MODES)
def test_programs_of_crowded_chips_compute_what_the_graph_says(mode: ScheduleMode) -> None:
    compilation = compiled(6, 8, mode)
    graph, random = compilation.tiled.graph, np.random.default_rng(1)
    image = {
        value.name: random.standard_normal(value.type.shape).astype(np.float32)
        for value in graph.inputs
    }
    found, expected = Machine(compilation.program).run(image), evaluate_graph(graph, image)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, name)


@pytest.mark.parametrize("mode", MODES)
def test_where_there_is_room_products_have_groups_and_not_ranges(mode: ScheduleMode) -> None:
    """Of 104 arrays the network takes 45."""
    tiled = compiled(13, 8, mode).tiled
    assert tiled.finer == 1
    groups = [tiled.plans(node) for node, _ in tiled.products()]
    assert len(groups[1]) > 1
    assert all(len(plan.shards) == 1 for plan in groups[1])
