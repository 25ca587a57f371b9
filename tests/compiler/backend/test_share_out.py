"""Places that move: what is needed at one time lies apart, and blocks keep their form."""

from __future__ import annotations

from itertools import combinations

import hypothesis.strategies as st
from hypothesis import given, settings

from imcc.compiler.backend.ordering.items import CoreItems, Item
from imcc.compiler.backend.ordering.share_out import Turn, share_out
from imcc.compiler.schedule import OwnPlace

PERIOD = 100
Use = tuple[int, int]  # begins, lasts


@st.composite
def blocks(draw: st.DrawFn) -> list[list[tuple[int, Use]]]:
    """Blocks of parts: their sizes, and when each is in use."""
    part = st.tuples(
        st.integers(1, 5).map(lambda n: 64 * n),
        st.tuples(st.integers(0, 400), st.integers(1, PERIOD - 1)),
    )
    return draw(st.lists(st.lists(part, min_size=1, max_size=3), min_size=1, max_size=12))


def laid_out(
    wanted: list[list[tuple[int, Use]]],
) -> tuple[list[OwnPlace], CoreItems, list[Turn]]:
    """Places one behind the other, and an item that reads each of them."""
    places: list[OwnPlace] = []
    items: list[Item] = []
    turns: list[Turn] = []
    address = 0
    for parts in wanted:
        block = address
        for size, (begin, lasts) in parts:
            places.append(OwnPlace(address, size, block))
            turns.append(Turn(len(items), begin // PERIOD, begin, begin + lasts))
            items.append(Item(None, None, ((address, address + size),), ()))
            address += size
    return places, CoreItems((), tuple(items), {}), turns


def meet(one: Turn, other: Turn) -> bool:
    """Whether any input needs the one while another, or the same, needs the other."""
    return any(
        one.begin < other.end + shift and other.begin + shift < one.end
        for shift in range(-5 * PERIOD, 6 * PERIOD, PERIOD)
    )


@given(blocks())
@settings(max_examples=150, deadline=None)
def test_what_is_needed_at_one_time_lies_apart(wanted: list[list[tuple[int, Use]]]) -> None:
    places, items, turns = laid_out(wanted)
    moved = share_out(items, turns, places, PERIOD, 1 << 30)
    assert moved is not None
    begins = [place.address + delta for place, delta in zip(places, moved.deltas, strict=True)]
    for one, other in combinations(range(len(places)), 2):
        if meet(turns[one], turns[other]):
            first, second = sorted((one, other), key=lambda index: begins[index])
            assert begins[first] + places[first].size <= begins[second]
        if places[one].block == places[other].block:
            assert moved.deltas[one] == moved.deltas[other]
    ends = [begin + place.size for begin, place in zip(begins, places, strict=True)]
    assert moved.peak == max(ends)
    assert share_out(items, turns, places, PERIOD, moved.peak) is not None
    assert share_out(items, turns, places, PERIOD, moved.peak - 1) is None


def test_memory_is_used_again_by_the_next_input_only() -> None:
    """Two values that live 60 of 100 cycles meet, wherever they begin; of 50 they need not."""
    for lasts, peak in ((60, 128), (50, 64)):
        places, items, turns = laid_out([[(64, (0, lasts))], [(64, (250, lasts))]])
        moved = share_out(items, turns, places, PERIOD, 1 << 20)
        assert moved is not None
        assert moved.peak == peak


def test_constants_are_there_all_the_time() -> None:
    places, items, turns = laid_out([[(64, (0, 10))], [(64, (50, 10))]])
    kept = [OwnPlace(places[0].address, 64, 0, constant=True), places[1]]
    moved = share_out(items, turns, kept, PERIOD, 1 << 20)
    assert moved is not None
    assert moved.peak == 128


def test_a_value_needed_for_longer_than_a_period_has_no_place() -> None:
    places, items, turns = laid_out([[(64, (0, PERIOD + 1))]])
    assert share_out(items, turns, places, PERIOD, 1 << 20) is None
