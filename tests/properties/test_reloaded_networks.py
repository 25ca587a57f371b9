"""Random networks on chips that are too small for them: graph, tiled graph and machine agree."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import assume, given, settings
from support.random_networks import NetworkMaker, random_inputs

from imcc.compiler.backend import emit_with_probes, order_instructions
from imcc.compiler.errors import CapacityError
from imcc.compiler.ir import evaluate
from imcc.compiler.mapping import TileOptions
from imcc.compiler.schedule import ScheduleMode, map_for, on_mesh, schedule
from imcc.isa import Target, load_target, validate
from imcc.isa.target import RequantMode
from imcc.runtime import Machine


def small(name: str, cores: int, arrays: int, window: int, kib: int) -> Target:
    base = load_target(name)
    chip = base.chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores})
    sizes = {"arrays": arrays, "issue_window": window, "local_memory_kib": kib}
    core = base.core.model_copy(update=sizes)
    return base.model_copy(update={"chip": chip, "core": core})


@given(
    seed=st.integers(0, 1 << 30),
    length=st.integers(2, 8),
    name=st.sampled_from(["isaac", "puma", "dcim22", "neurram", "tiny"]),
    cores=st.integers(1, 4),
    arrays=st.integers(1, 6),
    window=st.sampled_from([1, 2, 12]),
    kib=st.sampled_from([2, 8, 64]),
    order=st.sampled_from(ScheduleMode),
)
@settings(max_examples=80, deadline=None)
def test_random_network_on_a_small_chip(
    seed: int,
    length: int,
    name: str,
    cores: int,
    arrays: int,
    window: int,
    kib: int,
    order: ScheduleMode,
) -> None:
    target = small(name, cores, arrays, window, kib)
    graph = NetworkMaker(seed, RequantMode.FLOAT24, 8).make(length)
    inputs = random_inputs(graph, 3, seed)
    try:
        tiled = map_for(graph, target, TileOptions(), order)
        streamed = None
        if order is not ScheduleMode.LAYERS:
            tiled, streamed = on_mesh(tiled)
        plan = schedule(tiled, order, streamed)
    except CapacityError:
        assume(False)
    tiled.verify()
    program, probes = emit_with_probes(plan)
    if order is not ScheduleMode.LAYERS:
        program, _ = order_instructions(program, probes)
    validate(program)
    expected = evaluate(tiled.graph, inputs)["output"]
    machine = Machine(program)
    np.testing.assert_array_equal(machine.run(inputs)["output"], expected)
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    np.testing.assert_array_equal(machine.outputs()["output"], expected)
    if target.adc.bits == 0:
        np.testing.assert_array_equal(evaluate(graph, inputs)["output"], expected)
