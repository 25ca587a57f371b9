"""Strips, groups and copies: the least time of the slowest that whole parts and cores allow."""

from __future__ import annotations

from itertools import product
from math import ceil

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from imcc.compiler.mapping.runs import LEAST_ROUNDS, MOST_PARTS, MOST_RUNS, STAGED_ROUNDS, most_runs
from imcc.compiler.mapping.shares import Demand, Demands, Footprint, Room, Share, choose_shares

_DEMANDS = st.lists(
    st.builds(
        lambda arrays, rows, windows, work: (arrays, rows, windows, work),
        st.integers(1, 4),
        st.integers(1, 30),
        st.integers(1, 6),
        st.sampled_from([0.0, 13.0]),
    ),
    min_size=1,
    max_size=2,
)


def demands_of(numbers: list[tuple[int, int, int, float]]) -> list[Demand]:
    return [
        Demand(f"p{i}", Footprint(arrays, 1, 10.0), rows, windows, work, columns=True)
        for i, (arrays, rows, windows, work) in enumerate(numbers)
    ]


def all_shares(demand: Demand, room: Room) -> list[Share]:
    """Every number of strips, groups and copies that there may be."""
    found = []
    widths = range(2, demand.windows)
    for strips in {1} | {-(-demand.windows // width) for width in widths}:
        runs = -(-demand.rows // -(-demand.rows // most_runs(strips)))
        for turns in range(1, min(max(1, runs // LEAST_ROUNDS), room.cores // strips) + 1):
            for copies in range(1, room.arrays // demand.footprint.arrays + 1):
                found.append(Share(turns * strips, copies, strips))
    return found


def cores_of(demand: Demand, share: Share, time: float, room: Room) -> float:
    """What a share takes of the cores: of their arrays, or of their time, whichever is more."""
    held = demand.used(share, room) / room.arrays
    return max(held, share.groups * demand.time(share) / time)


@given(_DEMANDS, st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_no_shares_that_fit_are_much_faster(
    numbers: list[tuple[int, int, int, float]], cores: int
) -> None:
    """Against every choice there is; the search stops within one part in a hundred."""
    demands, room = demands_of(numbers), Room(cores, 4)
    found = choose_shares(demands, room)
    if not found:
        assert sum(d.used(Share(), room) for d in demands) > room.total
        return
    for shares in product(*(all_shares(d, room) for d in demands)):
        pairs = list(zip(demands, shares, strict=True))
        slowest = max(d.time(s) for d, s in pairs)
        if sum(cores_of(d, s, slowest, room) for d, s in pairs) <= cores:
            assert slowest >= 0.99 * max(d.time(found[d.name]) for d in demands)


def test_times_count_whole_parts_and_windows() -> None:
    demand = Demand("p", Footprint(1, 1, 10.0), rows=5, windows=7)
    assert demand.time(Share(2, 3)) == 3 * 3 * 10.0
    assert demand.used(Share(2, 3), Room(8, 8)) == 6
    assert demand.used(Share(2, 5), Room(8, 8)) == 16  # the rest of a core is left to nobody


def test_strips_make_every_row_together() -> None:
    """Rows of 56 windows in 7 strips of 8: two groups for each take 28 runs of 56 in turn."""
    demand = Demand("p", Footprint(1, 1, 10.0), rows=56, windows=56, columns=True)
    runs = most_runs(7)
    assert runs == min(MOST_RUNS, MOST_PARTS // 7)
    length = ceil(56 / runs)
    turns = ceil(ceil(56 / length) / 2)
    assert demand.time(Share(14, 4, 7)) == turns * ceil(length * 8 / 4) * 10.0


def test_the_time_of_some_parts_more_counts_where_others_wait_for_them() -> None:
    demand = Demand("p", Footprint(1, 1, 10.0), rows=8, windows=4)
    assert demand.time(Share(2, 4), fill=2) == (4 + 2) * 10.0


@pytest.mark.parametrize("rows", [1, 6, 11])
def test_each_group_makes_several_parts(rows: int) -> None:
    (share,) = choose_shares([Demand("p", Footprint(1, 1, 1.0), rows, 1)], Room(8, 8)).values()
    assert share.groups == max(1, rows // LEAST_ROUNDS)


@pytest.mark.parametrize("rows", [1, 6, 11])
def test_in_stages_each_group_makes_fewer_parts(rows: int) -> None:
    demands = Demands((Demand("p", Footprint(1, 1, 1.0), rows, 1),)).in_stages()
    (share,) = demands.shares(Room(8, 8)).values()
    assert share.groups == max(1, rows // STAGED_ROUNDS)


def test_work_is_shared_by_the_groups() -> None:
    rows = 4 * LEAST_ROUNDS
    demand = Demand("p", Footprint(4, 1, 1.0), rows, windows=1, work=3.0 * rows)
    (share,) = choose_shares([demand], Room(4, 4)).values()
    assert share.groups == 4
    assert share.load == demand.time(share) == (1.0 + 3.0) * rows / 4


def test_a_core_is_no_faster_than_its_starts() -> None:
    """Two starts of 200 ns a window: a second copy saves half of 800 ns, a third nothing."""
    rows = 3 * LEAST_ROUNDS
    demand = Demand("p", Footprint(2, 1, 800.0, 400.0), rows, windows=12, work=100.0 * rows)
    times = [demand.time(Share(1, copies)) / rows for copies in (1, 2, 3, 4)]
    np.testing.assert_allclose(times, [9_700.0, 4_900.0, 4_900.0, 4_900.0])
    shares = choose_shares([demand], Room(3, 64))
    assert (shares["p"].groups, shares["p"].copies) == (3, 2)
    assert shares["p"].load == pytest.approx((12 * 400.0 + 100.0) * LEAST_ROUNDS)


def test_cores_are_shared_by_time() -> None:
    """Two products of one array and equal work share a core, though it has arrays for ten."""
    pair = [Demand(name, Footprint(1, 1, 1.0), 1, 1, work=9.0) for name in ("a", "b")]
    shares = choose_shares(pair, Room(1, 20))
    assert [share.load for share in shares.values()] == [10.0, 10.0]


def test_groups_in_turn_and_strips_read_more_than_their_own() -> None:
    """8 rows of 4 windows of 10 ns; a part of one row, or one column, reads for 16 ns more."""
    demand = Demand("p", Footprint(1, 1, 10.0), 8, 4, columns=True, again=(16.0, 16.0))
    assert demand.time(Share(1, 1, 1)) == 8 * 40
    assert demand.time(Share(2, 1, 1)) == 4 * (40 + 16 / 8)
    assert demand.time(Share(2, 1, 2)) == 8 * (20 + 16 / 2 / 16)


@pytest.mark.parametrize(("cores", "strips"), [(7, 1), (8, 4)])
def test_neighbours_have_the_same_strips_where_cores_are_left(cores: int, strips: int) -> None:
    """The second product is as quick on one core with four copies as in four strips."""
    first = Demand("a", Footprint(4, 1, 10.0), 8, 8, columns=True)
    second = Demand("b", Footprint(1, 1, 10.0), 8, 8, columns=True)
    shares = choose_shares([first, second], Room(cores, 4))
    assert shares["a"].strips == 4
    assert shares["b"].strips == strips


def test_what_follows_a_product_without_strips_may_have_some() -> None:
    """One core makes the first in no strips; the second is dealt four, which come before turns."""
    first = Demand("a", Footprint(4, 1, 10.0), 1, 8)
    second = Demand("b", Footprint(4, 1, 10.0), 8, 8, columns=True)
    alone = choose_shares([second], Room(4, 4))
    both = choose_shares([first, second], Room(5, 4))
    assert both["a"].strips == 1
    assert both["b"].strips == alone["b"].strips == 4
