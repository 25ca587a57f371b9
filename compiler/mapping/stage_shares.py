"""The shares of the products of every stage that there may be, looked up instead of searched.

`choose_shares` seeks the least time that products can be done in. For stages that is asked for
thousands of runs of the same products, on the same chip. So what each product picks is worked out
once for a row of times, each by `_STEP` longer than the one before; what a run of products takes
of the cores is then a difference of sums, and the least time of the row is found at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import ceil, inf, log

import numpy as np

from .choices import Floats, Ints
from .shares import Demands, Room, Share, Table

_STEP = 1.02
_ENOUGH = 4.0  # times the work of all, on one core, for which products can share one
_ROUNDING = 1e-9  # of cores; what sums of them may be wrong by


class StageShares:
    """Shares of runs of products on a chip."""

    def __init__(self, demands: Demands, chip: Room) -> None:
        self._demands = demands
        self._chip = chip

    def best(self, first: int, last: int, part: float) -> int | None:
        """The number of the least time that products [first, last) can be done in.

        None where a part of the chip is too little for one replica of each.
        """
        cores = self._cores[last] - self._cores[first]
        begin = int(self._possible[first:last].max())
        enough = cores[begin:] <= self._chip.cores * part + _ROUNDING
        return begin + int(enough.argmax()) if enough.any() else None

    @property
    def no_limit(self) -> int:
        """The number of the time for which each product takes as few arrays as it can."""
        return len(self._times) - 1

    def time(self, number: int) -> float:
        """The time with that number."""
        return float(self._times[number])

    def shares(self, first: int, last: int, number: int) -> Mapping[str, Share]:
        """What products pick for a time."""
        own = zip(self._demands.products[first:last], self._picked[first:last, number], strict=True)
        found = {demand.name: (demand, Share(*picked.tolist())) for demand, picked in own}
        return {name: demand.timed(share) for name, (demand, share) in found.items()}

    def held(self, first: int, last: int, number: int) -> Ints:
        """How often each product is held then."""
        found: Ints = self._picked[first:last, number, :2].prod(axis=1)
        return found

    def pipelined(self, first: int, last: int, number: int) -> float:
        """Time of the slowest product then, behind a part of each of the others."""
        whole, part = self._whole[first:last, number], self._part[first:last, number]
        return float((whole - part).max() + part.sum())

    @cached_property
    def _tables(self) -> tuple[Table, ...]:
        fill = self._demands.fill
        return tuple(demand.table(self._chip, fill) for demand in self._demands.products)

    @cached_property
    def _times(self) -> Floats:
        """From the fastest of all to where time counts for nothing."""
        low = min(table.fastest for table in self._tables)
        most = sum(float((table.loads * table.cores).max()) for table in self._tables)
        high = _ENOUGH * max(most, *(float(table.times.max()) for table in self._tables))
        steps = ceil(log(high / low) / log(_STEP)) if high > low > 0 else 1
        times: Floats = np.append(low * _STEP ** np.arange(steps + 1), inf)
        return times

    @cached_property
    def _choices(self) -> tuple[Floats, Ints]:
        """Cores [product, time] and rows of tables."""
        cores = np.empty((len(self._tables), len(self._times)))
        rows = np.empty(cores.shape, np.int64)
        for index, table in enumerate(self._tables):
            for number, time in enumerate(self._times):
                each = table.taken(float(time), self._chip)
                rows[index, number] = each.argmin()
                cores[index, number] = each[rows[index, number]]
        return cores, rows

    @cached_property
    def _possible(self) -> Ints:
        """The first time that each product can be done in."""
        found: Ints = np.isfinite(self._choices[0]).argmax(axis=1)
        return found

    @cached_property
    def _cores(self) -> Floats:
        """Sums [product, time] of what the products before take of the cores."""
        cores = self._choices[0]
        finite = np.where(np.isfinite(cores), cores, 0.0)
        return np.concatenate([np.zeros((1, finite.shape[1])), finite.cumsum(axis=0)])

    @cached_property
    def _picked(self) -> Ints:
        """Groups, copies and strips [product, time]."""
        rows = zip(self._tables, self._choices[1], strict=True)
        return np.stack([table.shares[row] for table, row in rows])

    @cached_property
    def _whole(self) -> Floats:
        return self._taken(0)

    @cached_property
    def _part(self) -> Floats:
        """The time of one part."""
        return self._taken(1) - self._whole

    def _taken(self, fill: int) -> Floats:
        """Times [product, time] that the shares take, with so many parts more."""
        found = np.empty(self._picked.shape[:2])
        for index, demand in enumerate(self._demands.products):
            kinds, places = np.unique(self._picked[index], axis=0, return_inverse=True)
            times = [demand.time(Share(*kind.tolist()), fill) for kind in kinds]
            found[index] = np.array(times)[places.ravel()]
        return found
