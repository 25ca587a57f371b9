"""Reductions over rows take in one run after the other: same codes, little memory."""

from __future__ import annotations

import numpy as np
import pytest
from support.code_graphs import BATCH, random_codes, real_inputs

from imcc.compiler.backend import emit
from imcc.compiler.ir import Graph, GraphBuilder, QuantParams, TensorType, Value, evaluate, verify
from imcc.compiler.ir.op import Op, Stage
from imcc.compiler.ir.ops.partial_sums import AddSums, PartialSum
from imcc.compiler.ir.ops.pooling import MaxPool
from imcc.compiler.ir.ops.quant import Dequantize, Quantize
from imcc.compiler.ir.ops.quantized import QConv
from imcc.compiler.ir.ops.quantized_pooling import QAveragePool, QGlobalAveragePool
from imcc.compiler.ir.ops.quantized_reduce import QReduceMax, QReduceSum
from imcc.compiler.ir.ops.spill import Spill
from imcc.compiler.ir.requant import Requant, full_range
from imcc.compiler.ir.types import DType
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.mapping.tiled_graph import TiledGraph
from imcc.compiler.schedule import ScheduleMode, memory_check, schedule, sharing
from imcc.compiler.schedule.stream_rows import stream_rows
from imcc.isa import Target, load_target, validate
from imcc.isa.target import RequantMode
from imcc.runtime import Machine

CHANNELS, ROWS, COLUMNS = 48, 24, 20
CODES = QuantParams((0.25,), (7,))
KERNEL = (ROWS, COLUMNS)
NO_PADS = (0, 0, 0, 0)


def requant(mode: RequantMode) -> Requant:
    return Requant(QuantParams((0.03125,), (11,)), 0, 255, mode)


REDUCTIONS: dict[str, Op] = {
    "global mean": QGlobalAveragePool(requant(RequantMode.FLOAT24)),
    "global mean in fixed point": QGlobalAveragePool(requant(RequantMode.FIXED)),
    "mean of one window": QAveragePool(
        KERNEL, (1, 1), NO_PADS, False, False, requant(RequantMode.FLOAT24)
    ),
    "sum over rows": QReduceSum((2,), True, False, requant(RequantMode.FLOAT24)),
    "mean over rows and channels": QReduceSum((1, 2), False, True, requant(RequantMode.FLOAT24)),
    "largest over rows": QReduceMax((2,), False),
    "largest over all": QReduceMax((1, 2, 3)),
    "largest of one window": MaxPool(KERNEL, (1, 1), NO_PADS, (1, 1)),
}


def network(reduction: Op) -> Graph:
    """A convolution of one pixel, whose rows stream, and a reduction of what it makes."""
    rng = np.random.default_rng(5)
    builder = GraphBuilder("one")
    real = builder.input("x", TensorType(DType.F32, (1, 8, *KERNEL)))
    codes = builder.add(Quantize(CODES), [real], "codes")
    weights = rng.integers(-127, 128, (CHANNELS, 8, 1, 1)).astype(np.int8)
    scales = QuantParams((0.0078125,) * CHANNELS, (0,) * CHANNELS, 0, 8, True)
    bias = QuantParams((0.25 * 0.0078125,) * CHANNELS, (0,) * CHANNELS, 0, 32, True)
    operands = [
        codes,
        builder.constant(weights, "weights", scales),
        builder.constant(np.zeros(CHANNELS, np.int32), "bias", bias),
    ]
    conv = QConv((1, 1), NO_PADS, (1, 1), 1, full_range(QuantParams((0.125,), (100,))))
    made: Value = builder.add(conv, operands, "made", ["conv"])
    result = builder.add(reduction, [made], "reduced", ["reduction"])
    return builder.finish([builder.add(Dequantize(), [result], "y")], ["y"])


def with_memory(kib: int, cores: int | None = None) -> Target:
    """A chip whose cores hold so much; a core has fewer arrays than the convolution shares."""
    target = load_target("isaac")
    core = target.core.model_copy(update={"local_memory_kib": kib})
    chip = target.chip
    if cores is not None:
        chip = chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores})
    return target.model_copy(update={"core": core, "chip": chip})


def tiled(graph: Graph, target: Target, mode: ScheduleMode) -> TiledGraph:
    return tile(
        graph, target, TileOptions(), memory_check(graph, target, mode), sharing(mode, target)
    )


@pytest.mark.parametrize("name", REDUCTIONS)
def test_runs_have_the_codes_of_the_whole(name: str) -> None:
    graph = network(REDUCTIONS[name])
    target = with_memory(64)
    cut = stream_rows(tiled(graph, target, ScheduleMode.LATENCY)).graph
    verify(cut, Stage.TILED)
    inputs = real_inputs(graph, [random_codes(np.random.default_rng(6), (BATCH, 8, *KERNEL))])
    expected = evaluate(graph, inputs)["y"]
    np.testing.assert_array_equal(evaluate(cut, inputs)["y"], expected)
    program = emit(schedule(tiled(graph, target, ScheduleMode.LATENCY), ScheduleMode.LATENCY))
    validate(program)
    np.testing.assert_array_equal(Machine(program).run(inputs)["y"], expected)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_core_need_not_hold_what_is_reduced(name: str) -> None:
    """All rows are 22.5 KiB."""
    graph, small = network(REDUCTIONS[name]), with_memory(16)
    made = schedule(tiled(graph, small, ScheduleMode.LATENCY), ScheduleMode.LATENCY)
    assert max(made.peak.values()) < CHANNELS * ROWS * COLUMNS
    assert not any(isinstance(node.op, Spill) for node in made.graph.nodes)
    large = with_memory(64)
    whole = schedule(tiled(graph, large, ScheduleMode.LAYERS), ScheduleMode.LAYERS)
    assert max(whole.peak.values()) >= CHANNELS * ROWS * COLUMNS


@pytest.mark.parametrize("name", REDUCTIONS)
def test_what_waits_in_global_memory_is_reduced_run_by_run(name: str) -> None:
    """Layer by layer the convolution ends before the reduction begins."""
    graph, small = network(REDUCTIONS[name]), with_memory(16)
    made = schedule(tiled(graph, small, ScheduleMode.LAYERS), ScheduleMode.LAYERS)
    assert sum(isinstance(node.op, Spill) for node in made.graph.nodes) == 1
    assert max(made.peak.values()) < CHANNELS * ROWS * COLUMNS
    program = emit(made)
    validate(program)
    inputs = real_inputs(graph, [random_codes(np.random.default_rng(6), (BATCH, 8, *KERNEL))])
    expected = evaluate(graph, inputs)["y"]
    np.testing.assert_array_equal(Machine(program).run(inputs)["y"], expected)


def test_sums_of_a_core_are_added_in_one_place() -> None:
    graph, target = network(REDUCTIONS["global mean"]), with_memory(64, cores=1)
    made = schedule(tiled(graph, target, ScheduleMode.LATENCY), ScheduleMode.LATENCY)
    sums = [task for task in made.tasks if isinstance(task.node.op, AddSums)]
    parts = [task for task in made.tasks if isinstance(task.node.op, PartialSum)]
    assert len(parts) >= ROWS
    assert len(sums) == len(parts) - 1
    assert len({made.buffer(task.node.result.name, task.core).address for task in sums}) == 1


@pytest.mark.parametrize("cores", [2, 3, 4])
def test_of_several_cores_each_adds_up_a_range(cores: int) -> None:
    """Two add up all on one of them, more take as many channels each as there are cores."""
    graph, target = network(REDUCTIONS["global mean"]), with_memory(64, cores)
    mapped = tiled(graph, target, ScheduleMode.LATENCY)
    cut = stream_rows(mapped, hands_on=True)
    sums = [node.result for node in cut.graph.nodes if isinstance(node.op, AddSums)]
    parts = [node.result for node in cut.graph.nodes if isinstance(node.op, PartialSum)]
    assert len({cut.cores[part.name] for part in parts}) == cores
    ranges = [one for one in sums if one.type.shape[1] < CHANNELS]
    wide = -(-CHANNELS // cores)
    assert len(sums) - len(ranges) == len(parts) - (1 if cores == 2 else cores)
    assert len(ranges) == (0 if cores == 2 else cores * (cores - 1))
    assert {one.type.shape[1] for one in ranges} <= {wide, CHANNELS - (cores - 1) * wide}
    inputs = real_inputs(graph, [random_codes(np.random.default_rng(6), (BATCH, 8, *KERNEL))])
    program = emit(schedule(mapped, ScheduleMode.LATENCY, cut))
    validate(program)
    np.testing.assert_array_equal(Machine(program).run(inputs)["y"], evaluate(graph, inputs)["y"])
