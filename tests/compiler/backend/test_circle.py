"""Circles give the first free cycles, as a row of all cycles of a period would."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from numpy.typing import NDArray

from imcc.compiler.backend.ordering.circle import Circle

PERIOD = 60
Taken = NDArray[np.bool_]

wishes = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 25)), max_size=20)


def first_free(taken: Taken, time: int, cycles: int) -> int | None:
    """By trying all times of a period, one after the other."""
    for begin in range(time, time + len(taken)):
        if not taken[np.arange(begin, begin + cycles) % len(taken)].any():
            return begin
    return None


def filled(wanted: list[tuple[int, int]]) -> tuple[Circle, Taken]:
    """A circle with a run for every wish that has room, and which cycles are taken."""
    circle, taken = Circle(PERIOD), np.zeros(PERIOD, bool)
    for time, cycles in wanted:
        begin = circle.free_from(time, cycles)
        if begin is not None:
            circle.take(begin, cycles)
            taken[np.arange(begin, begin + cycles) % PERIOD] = True
    return circle, taken


def first_passing(
    taken: Taken, time: int, cycles: int, whole: int, most: int
) -> tuple[int, int] | None:
    """By trying all free cycles of a period that another is not free before."""
    free = [cycle for cycle in range(time, time + 3 * PERIOD) if not taken[cycle % PERIOD]]
    for first in free:
        if first >= time + PERIOD or len(free) < cycles or cycles > (~taken).sum():
            return None
        begin, end = max(time, first + cycles - whole), free[free.index(first) + cycles - 1] + 1
        if (first == time or taken[(first - 1) % PERIOD]) and end - begin <= most:
            return begin, end
    return None


@given(wishes)
@settings(max_examples=150, deadline=None)
def test_the_first_free_run_is_found(wanted: list[tuple[int, int]]) -> None:
    circle, taken = Circle(PERIOD), np.zeros(PERIOD, bool)
    for time, cycles in wanted:
        begin = circle.free_from(time, cycles)
        assert begin == first_free(taken, time, cycles)
        if begin is not None:
            circle.take(begin, cycles)
            taken[np.arange(begin, begin + cycles) % PERIOD] = True


@given(wishes, st.integers(0, 200), st.integers(1, PERIOD))
@settings(max_examples=150, deadline=None)
def test_pieces_fill_the_first_free_cycles(
    wanted: list[tuple[int, int]], time: int, cycles: int
) -> None:
    circle, taken = filled(wanted)
    free = [cycle for cycle in range(time, time + PERIOD) if not taken[cycle % PERIOD]]
    expected = free[cycles - 1] + 1 if len(free) >= cycles else None
    assert circle.fill(time, cycles) == expected


@given(wishes, st.integers(0, 200), st.integers(1, 25), st.integers(0, 20), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_free_cycles_go_by_within_what_an_operation_may_take(
    wanted: list[tuple[int, int]], time: int, cycles: int, more: int, stretch: int
) -> None:
    """An operation waits no longer for the port than it works, and no longer works than it may."""
    circle, taken = filled(wanted)
    whole = cycles + more
    found = circle.passed(time, cycles, whole, whole + stretch)
    assert found == first_passing(taken, time, cycles, whole, whole + stretch)


def test_no_more_cycles_go_by_than_are_free() -> None:
    """24 of 60 are, and an operation of 25 would meet itself a period later."""
    circle, _ = filled([(0, 11), (0, 25)])
    assert circle.passed(0, 24, 24, 60) == (36, 60)
    assert circle.passed(0, 25, 25, 61) is None


@given(wishes)
@settings(max_examples=150, deadline=None)
def test_what_is_given_back_is_free_again(wanted: list[tuple[int, int]]) -> None:
    circle, taken, held = Circle(PERIOD), np.zeros(PERIOD, bool), []
    for time, cycles in wanted:
        begin = circle.free_from(time, cycles)
        if begin is not None:
            circle.take(begin, cycles)
            held.append((begin, cycles))
    for begin, cycles in held[1::2]:
        circle.give_back(begin, cycles)
    for begin, cycles in held[::2]:
        taken[np.arange(begin, begin + cycles) % PERIOD] = True
    for cycles in (1, 7, PERIOD):
        assert circle.free_from(3, cycles) == first_free(taken, 3, cycles)


def test_runs_of_one_grain_leave_no_gaps() -> None:
    """Six runs of ten cycles fill sixty, whenever they come."""
    circle = Circle(PERIOD, 10)
    begins = []
    for time in (3, 17, 34, 41, 58, 60):
        begin = circle.free_from(time, 10)
        assert begin is not None
        circle.take(begin, 10)
        begins.append(begin)
    assert sorted(begin % PERIOD for begin in begins) == [3, 13, 23, 33, 43, 53]
    assert circle.free_from(0, 1) is None
