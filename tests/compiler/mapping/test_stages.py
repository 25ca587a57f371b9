"""Stages of networks larger than the chip: the cut is the best of all cuts."""

from __future__ import annotations

from itertools import combinations
from math import ceil

import hypothesis.strategies as st
import pytest
from hypothesis import given

from imcc.compiler.mapping.shares import Demand, Demands, Footprint, Room, Share
from imcc.compiler.mapping.stage_shares import StageShares
from imcc.compiler.mapping.stages import Cells, Cost, StageCosts, best_cuts, write_cost
from imcc.isa import Target, load_target


def all_cuts(count: int) -> list[tuple[int, ...]]:
    """Every way to cut `count` products in stages, as where they begin."""
    return [(0, *inner) for size in range(count) for inner in combinations(range(1, count), size)]


def total(cuts: tuple[int, ...], count: int, costs: StageCosts) -> Cost | None:
    """The cost of a cut, stage by stage; None where one has no room."""
    whole = Cost()
    for first, last in zip(cuts, (*cuts[1:], count), strict=True):
        own = costs.cost(first, last)
        if own is None:
            return None
        whole = whole.plus(own)
    return whole


def chip(cores: int, arrays: int) -> Target:
    base = load_target("isaac")
    mesh = base.chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores})
    core = base.core.model_copy(update={"arrays": arrays})
    return base.model_copy(update={"chip": mesh, "core": core})


@st.composite
def products(draw: st.DrawFn) -> list[tuple[Cells, Demand]]:
    made = []
    for index in range(draw(st.integers(1, 6))):
        arrays = draw(st.integers(1, 9))
        footprint = Footprint(arrays, -(-arrays // 4), draw(st.sampled_from([100.0, 800.0])))
        runs, windows = draw(st.integers(1, 8)), draw(st.integers(1, 20))
        demand = Demand(str(index), footprint, runs, windows, float(draw(st.integers(0, 50))))
        made.append((Cells(128 * arrays, 16384 * arrays, 4096 * arrays), demand))
    return made


@given(network=products(), cores=st.integers(1, 4), streams=st.booleans())
def test_no_cut_is_better(network: list[tuple[Cells, Demand]], cores: int, streams: bool) -> None:
    cells, demands = [cells for cells, _ in network], tuple(demand for _, demand in network)
    costs = StageCosts(chip(cores, 4), cells, Demands(demands, 2) if streams else None)
    count = len(network)
    found = best_cuts(count, costs.cost)
    possible = [c for cuts in all_cuts(count) if (c := total(cuts, count, costs)) is not None]
    if not possible:
        assert found is None
        return
    assert found is not None
    assert total(found, count, costs) == min(possible)


def test_writing_takes_the_longer_of_cells_and_memory() -> None:
    """Two cores of four arrays write eight at once; 32 bytes a cycle of 1 / 1.2 ns."""
    target = chip(2, 4)
    timing, energy = target.timing, target.energy
    few = write_cost(target, [(Cells(1280, 10, 32), 2)])
    assert few.time == ceil(2 * 1280 * timing.t_write_row_ns / 8)
    assert few.energy == 20 * energy.e_write_cell_pj + 64 * energy.e_global_byte_pj
    many = write_cost(target, [(Cells(1, 10, 1 << 20), 1)])
    assert many.time == ceil((1 << 20) / 32 / 1.2)


def test_copies_are_worth_their_writing_or_there_are_none() -> None:
    """A product of 8 windows of 800 ns on 4 arrays; to write an array takes 128 rows."""
    slow = Demand("a", Footprint(1, 1, 1e6), 1, 8)
    fast = Demand("a", Footprint(1, 1, 1.0), 1, 8)
    cells = [Cells(128, 16384, 4096)]
    for demand, copies in ((slow, 4), (fast, 1)):
        choice = StageCosts(chip(1, 4), cells, Demands((demand,))).choice(0, 1)
        assert choice is not None
        share = choice[1]["a"]
        assert choice[1] == {
            "a": Share(1, copies, time=share.load, load=share.load, part=share.part)
        }


def test_stage_without_room_has_no_cost() -> None:
    demands = tuple(Demand(name, Footprint(5, 1, 1.0), 1, 1) for name in "ab")
    costs = StageCosts(chip(1, 8), [Cells(1, 1, 1)] * 2, Demands(demands))
    assert demands[0].used(Share(), Room(1, 8)) == 8
    assert costs.cost(0, 1) is not None
    assert costs.cost(0, 2) is None
    assert best_cuts(2, costs.cost) == (0, 1)


@given(network=products(), cores=st.integers(1, 4), part=st.sampled_from([1.0, 0.5]))
def test_shares_of_a_stage_are_those_of_its_products_alone(
    network: list[tuple[Cells, Demand]], cores: int, part: float
) -> None:
    """They fit at the time that is looked up, and two steps of the row of times before none do."""
    demands, room = Demands(tuple(demand for _, demand in network), 2), Room(cores, 4, part)
    found = StageShares(demands, Room(cores, 4))
    for first, last in combinations(range(len(network) + 1), 2):
        own = demands.between(first, last)
        sought, number = own.shares(room), found.best(first, last, part)
        assert (number is None) == (not sought)
        if number is None:
            continue
        picked = found.shares(first, last, number)
        time, tables = found.time(number), [d.table(room, 2) for d in own.products]
        assert max(d.time(picked[d.name], 2) for d in own.products) <= time
        assert sum(table.taken(time, room).min() for table in tables) <= cores * part + 1e-6
        before = time / 1.02**2
        if number != found.no_limit:
            assert sum(table.taken(before, room).min() for table in tables) > cores * part
        held = sum(demand.used(picked[demand.name], room) for demand in own.products)
        assert held <= room.total
        copies = [picked[d.name].groups * picked[d.name].copies for d in own.products]
        assert found.held(first, last, number).tolist() == copies
        whole = [demand.time(picked[demand.name]) for demand in own.products]
        parts = [demand.time(picked[demand.name], 1) for demand in own.products]
        behind = max(2 * w - p for w, p in zip(whole, parts, strict=True))
        assert found.pipelined(first, last, number) == pytest.approx(
            behind + sum(parts) - sum(whole)
        )
