"""Arrays for products so that an input is through soonest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from imcc.compiler.mapping.flow import Flow, Pipeline, Read
from imcc.compiler.mapping.overlapping import Overlapping
from imcc.compiler.mapping.shares import Demands, Footprint, Room, Share
from imcc.compiler.mapping.soonest import soonest_shares
from imcc.isa import load_target
from imcc.isa.target import Target


def chip(cores: int, arrays: int) -> Target:
    """`isaac` with so many cores in a row, of so many arrays each."""
    target = load_target("isaac")
    return target.model_copy(
        update={
            "chip": target.chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores}),
            "core": target.core.model_copy(update={"arrays": arrays}),
        }
    )


def chain(*sizes: tuple[int, int, int]) -> Demands:
    """Products of so many rows, windows a row and arrays; each row reads all up to one beyond."""
    products = tuple(
        Overlapping(f"p{number}", Footprint(arrays, 1, 100.0), rows, windows)
        for number, (rows, windows, arrays) in enumerate(sizes)
    )
    reads: list[tuple[Read, ...]] = [()]
    for before, own in itertools.pairwise(sizes):
        last = np.minimum((np.arange(own[0]) + 2) * before[0] // own[0], before[0]) - 1
        reads.append((Read(len(reads) - 1, last),))
    flow = Flow(tuple(rows for rows, _, _ in sizes), tuple(reads))
    return Demands(products, flow=lambda: flow)


def time_of(demands: Demands, shares: Mapping[str, Share]) -> float:
    """The time of an input with these shares."""
    assert demands.flow is not None
    paces = []
    for demand in demands.products:
        assert isinstance(demand, Overlapping)
        share = shares[demand.name]
        each = np.array([[share.groups, share.copies, share.strips]])
        paces.append(demand.paces(each, np.array([share.time])))
    pipeline = Pipeline(demands.flow(), paces)
    return float(pipeline.times(np.zeros((1, len(paces)), np.int64))[0])


CHAINS = [
    ((16, 16, 2), (8, 8, 4), (4, 4, 8)),
    ((12, 12, 1), (12, 12, 3), (6, 6, 6), (3, 3, 12)),
    ((20, 20, 2), (5, 5, 2)),
]


@pytest.mark.parametrize("sizes", CHAINS)
def test_shares_fit_and_the_time_is_that_of_their_rows(
    sizes: tuple[tuple[int, int, int], ...],
) -> None:
    demands, target = chain(*sizes), chip(4, 24)
    found = list(soonest_shares(demands, target))
    for time, shares in found:
        arrays = sum(
            shares[one.name].groups * shares[one.name].copies * one.footprint.arrays
            for one in demands.products
        )
        assert arrays <= 4 * 24
        assert time == pytest.approx(time_of(demands, shares))
    once = {one.name: one.timed(Share()) for one in demands.products}
    assert found[0][0] < time_of(demands, once) / 3


@pytest.mark.parametrize("sizes", CHAINS)
def test_the_time_is_near_the_best_of_all_shares(sizes: tuple[tuple[int, int, int], ...]) -> None:
    """Of all numbers of groups and copies, on a chip so small that all can be tried."""
    demands, target = chain(*sizes), chip(2, 20)
    tables = demands.tables(Room(2, 20, tight=True, beside=True))
    best = np.inf
    for rows in itertools.product(*(range(len(table.times)) for table in tables)):
        if sum(int(table.arrays[row]) for table, row in zip(tables, rows, strict=True)) > 40:
            continue
        shares = {
            one.name: one.timed(Share(*table.shares[row].tolist()))
            for one, table, row in zip(demands.products, tables, rows, strict=True)
        }
        best = min(best, time_of(demands, shares))
    assert min(time for time, _ in soonest_shares(demands, target)) <= 1.1 * best


def test_no_chip_too_small_for_each_once() -> None:
    assert not list(soonest_shares(chain((4, 4, 30), (4, 4, 30)), chip(2, 20)))
