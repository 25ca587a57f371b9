"""Three definitions of one network agree bit for bit: graph, tiled graph, machine."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from support.random_networks import NetworkMaker, random_inputs

from imcc.compiler.backend import emit
from imcc.compiler.ir import evaluate
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.schedule import ScheduleMode, memory_check, schedule
from imcc.isa import load_target, validate
from imcc.isa.target import RequantMode
from imcc.runtime import Machine

TARGETS = ("isaac", "puma", "dcim22", "neurram", "tiny")


@pytest.mark.parametrize("name", TARGETS)
@given(
    seed=st.integers(0, 1 << 30),
    length=st.integers(1, 6),
    mode=st.sampled_from(RequantMode),
    weight_bits=st.sampled_from([2, 4, 8]),
    order=st.sampled_from([ScheduleMode.LAYERS, ScheduleMode.LATENCY]),
)
@settings(max_examples=20, deadline=None)
def test_random_network(
    name: str, seed: int, length: int, mode: RequantMode, weight_bits: int, order: ScheduleMode
) -> None:
    target = load_target(name)
    graph = NetworkMaker(seed, mode, weight_bits).make(length)
    inputs = random_inputs(graph, 3, seed)
    tiled = tile(graph, target, TileOptions(), memory_check(graph, target, order))
    program = emit(schedule(tiled, order))
    validate(program)
    expected = evaluate(tiled.graph, inputs)["output"]
    machine = Machine(program)
    np.testing.assert_array_equal(machine.run(inputs)["output"], expected)
    if target.adc.bits == 0:
        np.testing.assert_array_equal(evaluate(graph, inputs)["output"], expected)
