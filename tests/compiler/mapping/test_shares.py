"""Groups and copies: the least time of the slowest that whole runs and windows allow."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from imcc.compiler.mapping.shares import Demand, Footprint, Room, Share, choose_shares

_DEMANDS = st.lists(
    st.builds(
        lambda arrays, runs, windows: (arrays, runs, windows),
        st.integers(1, 4),
        st.integers(1, 4),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=2,
)


def demands_of(numbers: list[tuple[int, int, int]]) -> list[Demand]:
    return [
        Demand(f"p{i}", Footprint(arrays, 1, 10.0), runs, windows)
        for i, (arrays, runs, windows) in enumerate(numbers)
    ]


@given(_DEMANDS, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_no_shares_that_fit_are_faster(numbers: list[tuple[int, int, int]], cores: int) -> None:
    """Against all copies on one core, and all groups that need one each."""
    demands, room = demands_of(numbers), Room(cores, 4)
    found = choose_shares(demands, room)
    if sum(d.used(Share(), room) for d in demands) > room.total:
        assert not found
        return
    slowest = max(d.time(found[d.name]) for d in demands)
    assert sum(d.used(found[d.name], room) for d in demands) <= room.total
    options = [
        [
            Share(groups, copies)
            for groups in range(1, min(d.runs, cores) + 1)
            for copies in range(1, max(1, 4 // d.footprint.arrays) + 1)
            if groups == 1 or 2 * copies > min(d.windows, max(1, 4 // d.footprint.arrays))
        ]
        for d in demands
    ]
    for shares in product(*options):
        used = sum(d.used(s, room) for d, s in zip(demands, shares, strict=True))
        if used <= room.total:
            assert max(d.time(s) for d, s in zip(demands, shares, strict=True)) >= slowest


def test_times_count_whole_runs_and_windows() -> None:
    demand = Demand("p", Footprint(1, 1, 10.0), runs=5, windows=7)
    assert demand.time(Share(2, 3)) == 3 * 3 * 10.0
    assert demand.used(Share(2, 3), Room(8, 8)) == 6
    assert demand.used(Share(2, 5), Room(8, 8)) == 16  # the rest of a core is left to nobody


@pytest.mark.parametrize(("runs", "windows"), [(1, 1), (1, 6)])
def test_a_product_has_no_more_groups_than_runs(runs: int, windows: int) -> None:
    (share,) = choose_shares(
        [Demand("p", Footprint(1, 1, 1.0), runs, windows)], Room(8, 8)
    ).values()
    assert share.groups == 1
    assert share.copies <= windows


def test_work_is_shared_by_the_groups() -> None:
    demand = Demand("p", Footprint(4, 1, 1.0), runs=4, windows=1, work=3.0)
    (share,) = choose_shares([demand], Room(4, 4)).values()
    assert (share.groups, share.load) == (4, 3.0)
    assert demand.time(share) == 4.0


def test_a_core_is_no_faster_than_its_starts() -> None:
    """Two starts of 200 ns a window: a second copy saves half of 800 ns, a third nothing."""
    demand = Demand("p", Footprint(2, 1, 800.0, 400.0), runs=6, windows=12, work=100.0)
    times = [demand.run_time(Share(1, copies)) for copies in (1, 2, 3, 4)]
    assert times == [9_700.0, 4_900.0, 4_900.0, 4_900.0]
    shares = choose_shares([demand], Room(3, 64))
    assert (shares["p"].groups, shares["p"].copies) == (3, 2)
    assert shares["p"].load == (12 * 400.0 + 100.0) * 6 / 3
