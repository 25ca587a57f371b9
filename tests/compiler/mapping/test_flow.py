"""Rows in a pipeline: their times are those of making row after row."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from imcc.compiler.mapping.flow import Flow, Paces, Pipeline, Read


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Flow, list[Paces]]:
    """Up to five products of a few rows, each with one to three paces, that read earlier ones."""
    rows = draw(st.lists(st.integers(1, 7), min_size=1, max_size=5))
    reads: list[tuple[Read, ...]] = []
    for product, count in enumerate(rows):
        several = []
        for source in draw(st.sets(st.integers(0, product - 1))) if product else ():
            last = st.lists(st.integers(0, rows[source] - 1), min_size=count, max_size=count)
            several.append(Read(source, np.array(sorted(draw(last)))))
        reads.append(tuple(several))
    times = st.integers(0, 20)
    paces = []
    for count in rows:
        several_paces = draw(
            st.lists(st.tuples(st.integers(1, count), times, times), min_size=1, max_size=3)
        )
        lengths, runs, steps = zip(*several_paces, strict=True)
        paces.append(Paces(np.array(lengths), np.array(runs, float), np.array(steps, float)))
    return Flow(tuple(rows), tuple(reads)), paces


def row_by_row(flow: Flow, paces: list[Paces], picked: list[int]) -> float:
    """The time of an input, run by run."""
    ends: list[list[float]] = []
    for count, reads, pace, choice in zip(flow.rows, flow.reads, paces, picked, strict=True):
        length = int(pace.lengths[choice])
        found: list[float] = []
        for first in range(0, count, length):
            last = min(first + length, count) - 1
            begin = max((ends[read.source][read.last[last]] for read in reads), default=0.0)
            end = begin + pace.runs[choice]
            if found:
                end = max(end, found[-1] + pace.steps[choice])
            found += [float(end)] * (last + 1 - first)
        ends.append(found)
    return max(found[-1] for found in ends)


@given(pipelines(), st.data())
@settings(max_examples=200, deadline=None)
def test_an_input_takes_as_long_as_row_by_row(
    made: tuple[Flow, list[Paces]], data: st.DataObject
) -> None:
    flow, paces = made
    picked = [data.draw(st.integers(0, len(pace.steps) - 1)) for pace in paces]
    several = np.array([picked, [0] * len(paces)])
    found = Pipeline(flow, paces).times(several)
    assert found.tolist() == [row_by_row(flow, paces, choices) for choices in several.tolist()]


@given(pipelines())
@settings(max_examples=200, deadline=None)
def test_the_longest_way_is_all_of_the_time(made: tuple[Flow, list[Paces]]) -> None:
    flow, paces = made
    picked = np.zeros(len(paces), np.int64)
    pipeline = Pipeline(flow, paces)
    assert pipeline.longest_way(picked).sum() == pytest.approx(pipeline.times(picked[None])[0])


def test_what_reads_more_of_a_product_waits_for_more_of_it() -> None:
    """Four rows of 10, then rows that read one row beyond their own: 20, 30, 40 and 40, and 5."""
    flow = Flow((4, 4), ((), (Read(0, np.array([1, 2, 3, 3])),)))
    one = Paces(np.array([1]), np.array([10.0]), np.array([10.0]))
    two = Paces(np.array([1]), np.array([5.0]), np.array([5.0]))
    pipeline = Pipeline(flow, [one, two])
    assert pipeline.times(np.array([[0, 0]])) == 50.0
    assert pipeline.longest_way(np.array([0, 0])).tolist() == [40.0, 10.0]
