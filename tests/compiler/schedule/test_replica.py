"""Who sends to whom what several cores are to have."""

from __future__ import annotations

from collections import Counter
from math import ceil, log2

import pytest

from imcc.compiler.schedule.replica import handed_around, passed_on


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 392])
def test_all_get_it_once_from_one_that_has_it(count: int) -> None:
    """Where a core sends one time after the other, that takes as long as a binomial tree."""
    cores = list(range(10, 10 + count))
    got = {5: 0}
    free = {5: 0}
    for source, target in handed_around(5, cores):
        begin = max(got[source], free[source])
        assert target not in got
        got[target] = free[target] = free[source] = begin + 1
    assert sorted(got) == [5, *cores]
    assert max(got.values()) == ceil(log2(count + 1))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 392])
def test_who_made_rows_sends_them_once(count: int) -> None:
    """Others hand them on to two at most, in as many rounds as a binary tree is deep."""
    cores = list(range(10, 10 + count))
    depths, sent = {5: 0}, Counter[int]()
    for source, target in passed_on(5, cores):
        assert target not in depths
        depths[target] = depths[source] + 1
        sent[source] += 1
    assert sorted(depths) == [5, *cores]
    assert sent[5] == min(count, 1)
    assert max(sent.values(), default=0) <= 2
    assert max(depths.values()) == ceil(log2(count + 1))
