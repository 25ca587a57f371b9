"""Schedules of random networks: memory is never shared in time, bands cover all rows."""

from __future__ import annotations

from importlib import import_module
from itertools import combinations

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings
from support.random_networks import NetworkMaker

from imcc.compiler.errors import CapacityError
from imcc.compiler.ir import Graph
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.schedule import Schedule, ScheduleMode, memory_check, schedule, sharing
from imcc.compiler.schedule.memory import CoreMemory, lay_out
from imcc.isa import Target, load_target
from imcc.isa.target import RequantMode

MODES = st.sampled_from([ScheduleMode.LAYERS, ScheduleMode.LATENCY])


def scheduled(graph: Graph, target: Target, mode: ScheduleMode = ScheduleMode.LAYERS) -> Schedule:
    fits = memory_check(graph, target, mode)
    return schedule(tile(graph, target, TileOptions(), fits, sharing(mode, target)), mode)


def with_local_memory(target: Target, kib: int) -> Target:
    core = target.core.model_copy(update={"local_memory_kib": kib})
    return target.model_copy(update={"core": core})


@given(seed=st.integers(0, 1 << 30), name=st.sampled_from(["isaac", "tiny"]), mode=MODES)
@settings(max_examples=40, deadline=None)
def test_memory_alive_at_one_time_does_not_overlap(
    seed: int, name: str, mode: ScheduleMode
) -> None:
    """But for windows that slide: they take the place of what is moved up in the same step."""
    target = load_target(name)
    made = scheduled(NetworkMaker(seed, RequantMode.FLOAT24, 8).make(4), target, mode)
    spans = [
        (b.core, b.first + b.slides, b.last, b.address, b.address + b.layout.size)
        for b in made.buffers.values()
    ]
    spans += [
        (s.core, index, index, s.address, s.address + s.size)
        for index, task in enumerate(made.tasks)
        for s in task.scratch
    ]
    limit = target.core.local_memory_kib << 10
    assert all(end <= limit for *_, end in spans)
    for one, other in combinations(spans, 2):
        same_time = one[1] <= other[2] and other[1] <= one[2]
        if one[0] == other[0] and same_time:
            assert one[4] <= other[3] or other[4] <= one[3]


@given(seed=st.integers(0, 1 << 30))
@settings(max_examples=20, deadline=None)
def test_less_memory_makes_lower_bands(seed: int) -> None:
    graph = NetworkMaker(seed, RequantMode.FLOAT24, 8).make(3)
    roomy = scheduled(graph, load_target("isaac"))
    try:
        tight = scheduled(graph, with_local_memory(load_target("isaac"), 4))
    except CapacityError:
        assume(False)
    assume(max(task.phase for task in tight.tasks) == 0)  # else rows wait in global memory
    for large, small in zip(roomy.tasks, tight.tasks, strict=True):
        assert 1 <= small.band <= large.band <= large.rows


def test_transfers_connect_neighbouring_cores() -> None:
    graph = NetworkMaker(3, RequantMode.FLOAT24, 8).make(5)
    made = schedule(tile(graph, load_target("isaac"), TileOptions(spread=1)))
    moves = [transfer for task in made.tasks for transfer in task.transfers]
    assert moves
    for transfer in moves:
        assert (transfer.value, transfer.source) in made.buffers
        assert (transfer.value, transfer.target) in made.buffers


def test_too_little_memory_is_said_in_bytes() -> None:
    graph = NetworkMaker(2, RequantMode.FLOAT24, 8).make(5)
    target = with_local_memory(load_target("isaac"), 1)
    with pytest.raises(
        CapacityError,
        match=r"^core 0 needs [\d,]+ bytes of local memory at node '/\w+'; "
        r"target 'isaac' has 1,024: [\d,]+ short\n"
        r"use a target with more local memory a core, or smaller feature maps$",
    ):
        schedule(tile(graph, target, TileOptions()))


def test_of_many_orders_two_show_that_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first, and the one that needs the least."""
    laid = []

    def counted(*given: object, **more: object) -> dict[int, CoreMemory]:
        laid.append(lay_out(*given, **more))  # type: ignore[arg-type]
        return laid[-1]

    monkeypatch.setattr(import_module("imcc.compiler.schedule.schedule"), "lay_out", counted)
    graph = NetworkMaker(2, RequantMode.FLOAT24, 8).make(5)
    with pytest.raises(CapacityError, match="bytes of local memory"):
        scheduled(graph, with_local_memory(load_target("isaac"), 1), ScheduleMode.LATENCY)
    assert len(laid) == 2
