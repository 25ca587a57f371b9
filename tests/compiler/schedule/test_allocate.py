"""Addresses do not overlap in time and memory, and gaps are what is left."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from imcc.compiler.schedule.allocate import Interval, allocate, fit, largest_gap, peak


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
def test_largest_gap_is_free(wanted: list[Interval], task: int) -> None:
    placed = allocate(wanted)
    limit = peak(placed) + 100
    start, size = largest_gap(placed, task, limit)
    assert start + size <= limit
    for p in placed:
        if p.alive(task, task):
            assert p.end <= start or start + size <= p.address


def test_memory_is_reused_when_lives_do_not_meet() -> None:
    chain = [Interval((f"v{i}", 0), 640, i, i + 1) for i in range(10)]
    assert peak(allocate(chain)) == 2 * 640


@given(intervals(), st.integers(0, 6000))
@settings(max_examples=60, deadline=None)
def test_fit_says_what_allocate_does(wanted: list[Interval], limit: int) -> None:
    assert fit(wanted, limit) == (peak(allocate(wanted)) <= limit)
