"""One choice of each row, least time in all, within a budget of arrays.

This is the multiple-choice knapsack problem (Sinha and Zoltners, Operations Research 1979). Its
rows are products, its choices numbers of replicas:

- the *relaxation* puts a price on an array and lets every row choose for itself,
  ``max over price of sum_i min_k (time + price * arrays) - price * budget``: never more than the
  optimum, whatever the price;
- the *greedy* takes the rows' own choices at the lowest price that the budget bears, and spends
  the rest on the best drop of time an array;
- the *optimum* is dynamic programming over the rows, on the choices and sums that the distance
  between those two leaves possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ROUNDING = 1e-9  # relative; a choice this little worse than the limit is kept


@dataclass(frozen=True, eq=False)
class Choices:
    """The choices of each row, from the fewest arrays to the most; times fall.

    Rows with fewer choices than others are filled with an infinite time.
    """

    times: Floats
    arrays: Ints

    @classmethod
    def of(cls, rows: Sequence[tuple[Floats, Ints]]) -> Choices:
        """Line up the (times, arrays) of each row."""
        width = max((len(times) for times, _ in rows), default=1)
        table = cls(np.full((len(rows), width), np.inf), np.zeros((len(rows), width), np.int64))
        for row, (times, arrays) in enumerate(rows):
            table.times[row, : len(times)] = times
            table.arrays[row, : len(arrays)] = arrays
        return table

    def time(self, picked: Ints) -> float:
        """All times of a choice in each row."""
        return float(np.take_along_axis(self.times, picked[:, None], 1).sum())

    def used(self, picked: Ints) -> int:
        """All arrays of a choice in each row."""
        return int(np.take_along_axis(self.arrays, picked[:, None], 1).sum())

    def at_least(self, picked: Ints) -> Choices:
        """The same without what is before `picked` in each row."""
        before = np.arange(self.times.shape[1]) < picked[:, None]
        return replace(self, times=np.where(before, np.inf, self.times))


@dataclass(frozen=True, eq=False)
class Relaxation:
    """A price of an array, what the rows choose at it, and a bound below every time in budget."""

    price: float
    picked: Ints
    bound: float


def relax(table: Choices, budget: int) -> Relaxation:
    """The lowest price at which the rows' own choices are in budget, by bisection.

    The fewest arrays of all rows must be in budget.
    """
    best = _at(table, budget, 0.0)
    if table.used(best.picked) <= budget:
        return best
    low, high = 0.0, float(table.times[np.isfinite(table.times)].max(initial=1.0))
    best = _at(table, budget, high)
    bound = best.bound
    while low < (middle := (low + high) / 2) < high:
        at = _at(table, budget, middle)
        bound = max(bound, at.bound)
        if table.used(at.picked) > budget:
            low = middle
        else:
            high, best = middle, at
        if high - low <= _ROUNDING * high:
            break
    return replace(best, bound=bound)


def _at(table: Choices, budget: int, price: float) -> Relaxation:
    total = table.times + price * table.arrays
    return Relaxation(price, total.argmin(1), float(total.min(1).sum()) - price * budget)


def greedy(table: Choices, budget: int, relaxation: Relaxation) -> Ints:
    """The choices of a relaxation, and more while there is budget for any."""
    picked = relaxation.picked.copy()
    left = budget - table.used(picked)
    while (step := _best_step(table, picked, left)) is not None:
        row, column = step
        left -= int(table.arrays[row, column] - table.arrays[row, picked[row]])
        picked[row] = column
    return picked


def _best_step(table: Choices, picked: Ints, left: int) -> tuple[int, int] | None:
    """The (row, choice) with the greatest drop of time for each array more."""
    at = picked[:, None]
    more = table.arrays - np.take_along_axis(table.arrays, at, 1)
    drop = np.take_along_axis(table.times, at, 1) - table.times
    possible = (more > 0) & (more <= left) & (drop > 0)
    if not possible.any():
        return None
    gain = np.where(possible, drop, 0) / np.maximum(more, 1)
    row, column = np.unravel_index(int(gain.argmax()), gain.shape)
    return int(row), int(column)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the first rows that nothing dominates, and how each was reached.

    `excess` is the distance of a sum, at the price, from what its rows would choose alone.
    """

    arrays: Ints
    excess: Floats
    parent: Ints
    column: Ints


def optimum(table: Choices, budget: int) -> Ints:
    """The choices with the least time in budget.

    A sum of the first rows is dropped where another takes no more arrays and no more time, or
    where even the relaxation of the rest is above the greedy's time. At most `budget` sums of a
    row remain; where the relaxation is tight, a handful.
    """
    relaxation = relax(table, budget)
    known = greedy(table, budget, relaxation)
    reduced = table.times + relaxation.price * table.arrays
    reduced -= reduced.min(1, keepdims=True)
    upper = table.time(known)
    bound = _at(table, budget, relaxation.price).bound
    slack = upper - bound + _ROUNDING * (1.0 + upper)
    least = table.arrays[:, 0]
    rest = np.append(least[::-1].cumsum()[::-1][1:], 0)
    sums = [_Sums(np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int64))]
    for row in range(len(least)):
        columns = np.flatnonzero(reduced[row] <= slack)
        grown = _grow(sums[-1], columns, table.arrays[row, columns], reduced[row, columns])
        sums.append(_prune(grown, budget - int(rest[row]), slack, relaxation.price))
    return _trace(sums)


def _grow(sums: _Sums, columns: Ints, arrays: Ints, reduced: Floats) -> _Sums:
    """Every sum with every choice of the next row."""
    count = len(sums.arrays)
    return _Sums(
        (sums.arrays[:, None] + arrays).ravel(),
        (sums.excess[:, None] + reduced).ravel(),
        np.repeat(np.arange(count), len(columns)),
        np.tile(columns, count),
    )


def _prune(sums: _Sums, budget: int, slack: float, price: float) -> _Sums:
    """Keep what is in budget and slack and takes less time than all sums with fewer arrays.

    At the price, the time of a sum is its excess less the price of its arrays, and a constant.
    """
    kept = np.flatnonzero((sums.arrays <= budget) & (sums.excess <= slack))
    times = sums.excess - price * sums.arrays
    kept = kept[np.lexsort((times[kept], sums.arrays[kept]))]
    lowest = np.minimum.accumulate(np.append(np.inf, times[kept]))
    kept = kept[times[kept] < lowest[:-1]]
    return _Sums(sums.arrays[kept], sums.excess[kept], sums.parent[kept], sums.column[kept])


def _trace(sums: Sequence[_Sums]) -> Ints:
    """The choices behind the last sum, which has the least time."""
    at = len(sums[-1].arrays) - 1
    picked = np.zeros(len(sums) - 1, np.int64)
    for row in range(len(picked) - 1, -1, -1):
        picked[row] = sums[row + 1].column[at]
        at = int(sums[row + 1].parent[at])
    return picked
