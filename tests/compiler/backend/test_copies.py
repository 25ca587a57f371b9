"""Copies of weights on other arrays: the same results, and time divided by their number."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from support.random_networks import NetworkMaker, random_inputs

from imcc.compiler.backend import emit
from imcc.compiler.ir import Graph, evaluate
from imcc.compiler.ir.builder import GraphBuilder, rebuild
from imcc.compiler.ir.graph import Node, Value
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.ir.ops.tiled import Tiled
from imcc.compiler.mapping import MatrixPlan, Shard, TiledGraph
from imcc.compiler.mapping.options import AdcPolicy
from imcc.compiler.mapping.place import CoreSpace
from imcc.compiler.mapping.regions import Cutter
from imcc.compiler.schedule import schedule
from imcc.isa import (
    Program,
    Target,
    assemble,
    disassemble,
    load_target,
    program_bytes,
    program_from_bytes,
    validate,
)
from imcc.isa.target import RequantMode
from imcc.runtime import Machine
from imcc.runtime.timing import profile

COPIES = 3
SEEDS = (16, 18)  # with depthwise convolutions of two and of three axes


def _copied(node: Node, graph: Graph, core: int, target: Target, copies: int) -> Tiled | None:
    """A product with all of its weights `copies` times on one core."""
    op, weight = node.op, graph.constant(node.operands[1]) if len(node.operands) > 1 else None
    if not isinstance(op, QConv | QMatMul) or weight is None:
        return None
    parts = Cutter(node, op, weight, target, AdcPolicy.LOSSLESS).whole()
    assert parts is not None
    (part,) = parts
    placed = CoreSpace.empty(target).place(part.cut.shapes * copies)
    assert placed is not None
    matrix = part.cut.matrix(core, placed[1], copies)
    span = part.span
    return Tiled(op, MatrixPlan(core, (Shard(core, span.c0, span.c1, span.n0, span.n1, matrix),)))


@cache
def _network(seed: int, copies: int) -> tuple[Graph, TiledGraph, Program]:
    """Every product on a core of its own, on arrays so low that groups are diagonal blocks."""
    graph = NetworkMaker(seed, RequantMode.FLOAT24, 8).make(6)
    base = load_target("isaac")
    core = base.core.model_copy(update={"arrays": 4096})
    array = base.array.model_copy(update={"rows": 16})
    target = base.model_copy(update={"core": core, "array": array})
    cores = {node.result.name: index for index, node in enumerate(graph.nodes)}

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        made = _copied(node, graph, cores[node.result.name], target, copies)
        return None if made is None else builder.add(made, operands, node.result.name, node.origin)

    tiled = TiledGraph.of(rebuild(graph, rule), target)
    tiled.verify()
    return graph, tiled, emit(schedule(tiled))


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_change_no_result(seed: int) -> None:
    graph, tiled, program = _network(seed, COPIES)
    validate(program)
    assert all(matrix.copies == COPIES for matrix in program.matrices)
    inputs = random_inputs(graph, 2, 5)
    expected = evaluate(graph, inputs)
    for name, value in evaluate(tiled.graph, inputs).items():
        np.testing.assert_array_equal(value, expected[name])
    machine = Machine(program)
    found = machine.run(inputs)
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    for name, value in machine.outputs().items():
        np.testing.assert_array_equal(found[name], value)
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_keeps_copies_and_diagonal_blocks(seed: int) -> None:
    program = _network(seed, COPIES)[2]
    assert any(matrix.stack[0] > 1 for matrix in program.matrices)
    assert assemble(disassemble(program)).matrices == program.matrices
    assert program_from_bytes(program_bytes(program)).matrices == program.matrices


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_save_time_and_no_energy(seed: int) -> None:
    one, three = (profile(_network(seed, copies)[2]) for copies in (1, COPIES))
    assert one.macs == three.macs
    assert one.conversions == three.conversions
    assert three.energy_uj == pytest.approx(one.energy_uj)
    assert three.latency_cycles < one.latency_cycles
