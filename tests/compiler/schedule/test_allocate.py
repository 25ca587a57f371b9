"""Addresses do not overlap in time and memory, and gaps are what is left."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from imcc.compiler.schedule.allocate import (
    AliveOnCore,
    Interval,
    Placed,
    aligned,
    allocate,
    fit,
    peak,
)


@st.composite
def intervals(draw: st.DrawFn) -> list[Interval]:
    count = draw(st.integers(1, 20))
    made = []
    for index in range(count):
        first = draw(st.integers(0, 10))
        last = draw(st.integers(first, 12))
        made.append(Interval((f"v{index}", 0), draw(st.integers(1, 1000)), first, last))
    return made


@given(intervals())
@settings(max_examples=60, deadline=None)
def test_intervals_alive_together_do_not_overlap(wanted: list[Interval]) -> None:
    placed = allocate(wanted)
    assert {p.interval for p in placed} == set(wanted)
    for one in placed:
        assert one.address % 64 == 0
        for other in placed:
            if one is other or not one.alive(other.interval.first, other.interval.last):
                continue
            assert one.end <= other.address or other.end <= one.address


@given(intervals(), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_gaps_are_all_that_is_free(wanted: list[Interval], task: int) -> None:
    placed = allocate(wanted)
    limit = peak(placed) + 100
    free = np.ones(limit, bool)
    for p in placed:
        if p.alive(task, task):
            free[p.address : aligned(p.end)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[0], free, [0]])))
    assert AliveOnCore(placed).gaps(task, limit) == list(zip(edges[::2], edges[1::2], strict=True))


def test_memory_is_reused_when_lives_do_not_meet() -> None:
    chain = [Interval((f"v{i}", 0), 640, i, i + 1) for i in range(10)]
    assert peak(allocate(chain)) == 2 * 640


@given(intervals(), st.integers(0, 6000))
@settings(max_examples=60, deadline=None)
def test_fit_says_what_allocate_does(wanted: list[Interval], limit: int) -> None:
    assert fit(wanted, limit) == (peak(allocate(wanted)) <= limit)


@given(intervals())
@settings(max_examples=100, deadline=None)
def test_each_lies_at_the_lowest_address_that_is_free(wanted: list[Interval]) -> None:
    """The largest first; free is where nothing placed before lives at the same time."""
    before: list[Placed] = []
    for placed in allocate(wanted):
        one = placed.interval
        taken = [p for p in before if p.alive(one.first, one.last)]
        candidates = [0, *(aligned(p.end) for p in taken)]
        assert placed.address == min(
            a for a in candidates if all(p.end <= a or a + one.size <= p.address for p in taken)
        )
        before.append(placed)


def test_all_readers_of_one_tensor_may_live_at_one_time() -> None:
    count = 20_000
    fan = [Interval((f"v{i}", 0), 64, i, count + i) for i in range(count)]
    placed = allocate([Interval(("x", 0), 128, 0, count), *fan])
    assert peak(placed) == 128 + 64 * count
    assert len({p.address for p in placed}) == count + 1
