"""Who sends to whom what several cores are to have."""

from __future__ import annotations

from math import ceil, log2

import pytest

from imcc.compiler.schedule.replica import handed_around


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
