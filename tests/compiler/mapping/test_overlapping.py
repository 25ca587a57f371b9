"""What products ask for if inputs overlap: groups take parts in turn, of whatever strips."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from imcc.compiler.mapping.overlapping import Fetch, Overlapping
from imcc.compiler.mapping.runs import most_runs
from imcc.compiler.mapping.shares import Footprint, Room, Share


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 30),
    st.integers(1, 6),
    st.integers(2, 9),
)
@settings(max_examples=150, deadline=None)
def test_the_busiest_group_counts_part_by_part(
    rows: int, windows: int, groups: int, copies: int, width: int
) -> None:
    """Against dealing out every part to the next group."""
    strips = -(-windows // width) if width < windows else 1
    demand = Overlapping("p", Footprint(1, 1, 10.0), rows, windows, columns=True)
    length = -(-rows // most_runs(strips, max(1, groups // strips)))
    wide = -(-windows // strips)
    parts = [
        (min(length, rows - row), min(wide, windows - column))
        for row in range(0, rows, length)
        for column in range(0, windows, wide)
    ]
    rounds = [0] * groups
    for number, (tall, broad) in enumerate(parts):
        rounds[number % groups] += -(-tall * broad // copies)
    assert demand.time(Share(groups, copies, strips)) == max(rounds) * 10.0


def test_groups_need_not_be_a_multiple_of_strips() -> None:
    """13 x 13 windows on four groups: 43 for the busiest in seven strips, 52 in rows."""
    demand = Overlapping("p", Footprint(1, 1, 1.0), 13, 13, columns=True)
    assert demand.time(Share(4, 1, 1)) == 4 * 13
    assert demand.time(Share(4, 1, 7)) == 43


def test_steady_groups_have_the_same_strips_in_every_run() -> None:
    """Dealing parts out one by one brings each strip to the same groups again."""
    demand = Overlapping("p", Footprint(1, 1, 1.0), 13, 13, columns=True, finer=4, steady=True)
    shares = demand.table(Room(40, 8, tight=True, beside=True), 0).shares
    assert len({strips for _, _, strips in shares.tolist()}) > 5
    for groups, _, strips in shares.tolist():
        of_strip = [set[int]() for _ in range(strips)]
        for number in range(2 * groups * strips):
            of_strip[number % strips].add(number % groups)
        assert all(len(found) == max(1, groups // strips) for found in of_strip)


def test_a_product_is_as_slow_as_its_arrays_or_the_rest() -> None:
    """100 windows of 10 ns; two groups, each of which has half of the work and all of its port."""
    slow = Overlapping("p", Footprint(1, 1, 10.0, port_time=1.0), 10, 10, work=200.0)
    assert slow.time(Share(2, 1)) == 500.0
    busy = Overlapping("p", Footprint(1, 1, 10.0, port_time=1.0), 10, 10, work=2_000.0)
    assert busy.timed(Share(2, 1)).load == busy.time(Share(2, 1)) == 50.0 + 1_000.0


def test_every_part_takes_what_does_not_depend_on_its_size() -> None:
    demand = Overlapping("p", Footprint(1, 1, 10.0), 10, 10, each=7.0)
    assert demand.timed(Share(2, 1)).load == 5 * 7.0


@pytest.mark.parametrize("groups", [1, 3, 5])
def test_all_numbers_of_groups_are_in_the_table(groups: int) -> None:
    demand = Overlapping("p", Footprint(1, 1, 10.0), 6, 6, columns=True)
    table = demand.table(Room(5, 4, tight=True, beside=True), 0)
    assert groups in table.shares[:, 0]


def test_global_memory_gives_a_row_again_to_who_has_not_made_the_row_before() -> None:
    """3 x 3 windows on 10 x 10: strips of two columns read four, single rows three."""
    fetch = Fetch(100.0, 2.0, 2.0)
    demand = Overlapping("p", Footprint(1, 1, 1.0), 10, 10, columns=True, fetch=fetch)
    assert demand.time(Share(5, 1, 5)) == 200.0
    assert demand.time(Share(10, 1, 5)) == 600.0
    assert demand.time(Share(3, 1, 5)) == 600.0
    assert demand.time(Share(1, 1, 1)) == 100.0
