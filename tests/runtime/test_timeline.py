"""Simulations of compiled networks: figures that add up, and slices that do not overlap."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from support.hand_program import hand_program
from support.random_networks import NetworkMaker

from imcc.compiler.backend import emit
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.schedule import memory_check, schedule
from imcc.isa import Program, interleave, load_target
from imcc.isa.cost import CostModel, energies
from imcc.isa.target import RequantMode
from imcc.runtime import Timeline, profile, timeline
from imcc.runtime.timing import Work


def compiled(name: str, seed: int, length: int, window: int) -> Program:
    target = load_target(name)
    core = target.core.model_copy(update={"issue_window": window})
    graph = NetworkMaker(seed, RequantMode.FLOAT24, 8).make(length)
    tiled = tile(graph, target, TileOptions(), memory_check(graph, target))
    made = emit(schedule(tiled))
    return replace(made, target=target.model_copy(update={"core": core}))


def whole_work(program: Program) -> Work:
    """Everything that a program does, added up operation by operation without any time."""
    model, total = CostModel.of(program), Work()
    for operation in interleave(program):
        total = total.plus(model.cost(operation))
    return total


def busy(found: Timeline) -> dict[str, int]:
    """Busy cycles by kind of resource, summed over the slices."""
    sums: dict[str, int] = defaultdict(int)
    for one in found.slices:
        name = one.track.name.removesuffix(", transfers")
        kind = "arrays" if name.startswith("array ") else name
        sums["network links" if name.startswith("link ") else kind] += one.end - one.first
    return sums


networks = given(
    name=st.sampled_from(["isaac", "neurram", "dcim22", "tiny"]),
    seed=st.integers(0, 1 << 30),
    length=st.integers(1, 5),
    window=st.integers(1, 12),
    inputs=st.integers(1, 4),
)


@networks
@settings(max_examples=12, deadline=None)
def test_energies_are_those_of_all_operations(
    name: str, seed: int, length: int, window: int, inputs: int
) -> None:
    """The closed formula: counts times energies, whatever the order and the number of inputs."""
    program = compiled(name, seed, length, window)
    found = profile(program, inputs)
    model, work = program.target.energy, whole_work(program)
    written = work.cells * model.e_write_cell_pj
    expected = sum(energy for _, energy in energies(work, model))
    assert found.energy_uj * 1e6 + found.setup.energy_pj == pytest.approx(expected)
    assert found.setup.energy_pj >= written
    assert (found.macs, found.conversions) == (work.macs, work.conversions)


@networks
@settings(max_examples=12, deadline=None)
def test_slices_of_a_track_do_not_overlap(
    name: str, seed: int, length: int, window: int, inputs: int
) -> None:
    program = compiled(name, seed, length, window)
    found = timeline(program, inputs)
    ends: dict[object, int] = defaultdict(int)
    for one in found.slices:
        assert ends[one.track] <= one.first < one.end <= found.profile.total_cycles
        ends[one.track] = one.end
    sums = busy(found)
    assert {use.name: use.busy_cycles for use in found.profile.resources} == {
        use.name: sums[use.name] for use in found.profile.resources
    }


@networks
@settings(max_examples=12, deadline=None)
def test_no_resource_works_faster_than_it_can(
    name: str, seed: int, length: int, window: int, inputs: int
) -> None:
    found = profile(compiled(name, seed, length, window), inputs)
    for use in found.resources:
        assert use.busy_cycles <= use.count * found.total_cycles
    assert sum(cycles for _, cycles in found.critical_path) == found.latency_cycles
    assert found.latency_cycles <= found.total_cycles
    for core in found.cores:
        waited = sum(cycles for _, cycles in core.waits)
        assert waited <= found.total_cycles
        assert core.active_cycles <= found.total_cycles


def test_simulations_are_repeated_exactly() -> None:
    program = compiled("tiny", 7, 5, 4)
    assert timeline(program, 3) == timeline(program, 3)
    assert timeline(program, 3).profile == profile(program, 3)


def test_the_timeline_of_a_program_by_hand() -> None:
    found = timeline(hand_program(), 1)
    (product,) = (one for one in found.slices if one.track.name == "array 0")
    assert (product.first, product.end, product.mnemonic) == (7, 87, "mvm")
    assert (product.core, product.input) == (0, 0)
    assert product.layer == "/layer1/conv + /layer1/relu"
    (link,) = (one for one in found.slices if one.track.name == "link 0 to 1")
    assert (link.track.core, link.first, link.end) == (None, 89, 90)
    assert [track.name for track in found.tracks if track.core == 1] == [
        "vector unit",
        "local memory port",
        "local memory port, transfers",
        "dma engine",
        "network port in",
    ]
