"""What crosses from one stage to the next: parts of maps, in runs of rows and strips of columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from imcc.compiler.backend import emit
from imcc.compiler.driver import compile_model
from imcc.compiler.ir import Graph, Node, evaluate, verify
from imcc.compiler.ir.op import Stage
from imcc.compiler.ir.ops.rows import Rows
from imcc.compiler.ir.ops.spill import Spill
from imcc.compiler.mapping import TiledGraph
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode, schedule
from imcc.compiler.schedule.stream_rows import stream_rows
from imcc.isa import load_target, validate
from imcc.runtime import Machine

MODEL = Path(__file__).parents[3] / "models" / "fmnist_resnet8.onnx"
STRIPS = 4


def in_strips_and_stages() -> TiledGraph:
    """All convolutions in strips, and a stage for every two products."""
    chip = load_target("isaac")
    tiled = compile_model(MODEL, chip, CompileOptions(schedule=ScheduleMode.LATENCY)).tiled
    strips = {node.result.name: STRIPS for node, _ in tiled.products()}
    numbers = {node.result.name: index for index, (node, _) in enumerate(tiled.products())}
    stages: dict[str, int] = {}
    for node in tiled.graph.nodes:
        before = max((stages.get(value.name, 0) for value in node.operands), default=0)
        stage = max(before, numbers.get(node.results[0].name, 0) // 2)
        stages.update((value.name, stage) for value in node.results)
    return replace(tiled, groups={}, strips=strips, stages=stages)


def spills(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node.op, Spill)]


def test_strips_wait_in_global_memory_for_the_next_stage() -> None:
    tiled = in_strips_and_stages()
    cut = stream_rows(tiled)
    verify(cut.graph, Stage.TILED)
    assert spills(cut.graph)
    for node in spills(cut.graph):
        stored = cut.graph.producer(node.operands[0])
        assert stored is not None
        assert isinstance(stored.op, Rows)
        assert stored.op.axes == (2, 3)
        assert len({columns for _, columns in stored.op.places}) == STRIPS
    for node in cut.graph.nodes:
        for value in node.operands:
            made = cut.graph.producer(value)
            if made is None or not cut.phase_of(made) < cut.phase_of(node):
                continue
            assert isinstance(made.op, Spill) or value.name not in cut.blocks
    inputs = {
        value.name: np.random.default_rng(2).normal(0, 1, value.type.shape).astype(np.float32)
        for value in tiled.graph.inputs
    }
    expected = evaluate(tiled.graph, inputs)
    program = emit(schedule(tiled, ScheduleMode.LATENCY))
    validate(program)
    found = Machine(program).run(inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(evaluate(cut.graph, inputs)[name], array)
        np.testing.assert_array_equal(found[name], array)
