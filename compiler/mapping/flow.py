"""How rows flow from product to product, and how soon an input is through.

A product makes its rows in runs, one after the other. A run begins when all rows are there that it
reads and takes a time of its own; runs follow each other no faster than the product makes them. The
time of an input is the longest way through all that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .choices import Floats, Ints


@dataclass(frozen=True, eq=False)
class Read:
    """What a product reads of an earlier one, by number: for each row the last row of that."""

    source: int
    last: Ints


@dataclass(frozen=True, eq=False)
class Flow:
    """How many rows each product has, in topological order, and what it reads."""

    rows: tuple[int, ...]
    reads: tuple[tuple[Read, ...], ...]


@dataclass(frozen=True, eq=False)
class Paces:
    """At which paces a product can work, an element each.

    A run has so many rows (`lengths`) and takes a time (`runs`) once all that it reads is there;
    runs end no less than `steps` one behind the other.
    """

    lengths: Ints
    runs: Floats
    steps: Floats


class Pipeline:
    """The products of a flow, each at one of its paces."""

    def __init__(self, flow: Flow, paces: Sequence[Paces]) -> None:
        self._flow, self._paces = flow, paces
        self._numbers, self._lasts = [], []
        for rows, pace in zip(flow.rows, paces, strict=True):
            numbers = np.arange(rows) // pace.lengths[:, None]
            self._numbers.append(numbers)
            self._lasts.append(np.minimum((numbers + 1) * pace.lengths[:, None], rows) - 1)

    def times(self, picked: Ints) -> Floats:
        """The time of an input; `picked` has a row for each try: the pace of every product."""
        ends = self._ends(picked)
        found: Floats = np.max([end[:, -1] for end in ends], axis=0)
        return found

    def longest_way(self, picked: Ints) -> Floats:
        """For how long of the time of an input each product works, alone on the longest way."""
        ends = self._ends(picked[None])
        spent = np.zeros(len(ends))
        product = int(np.argmax([end[0, -1] for end in ends]))
        row = self._flow.rows[product] - 1
        while True:
            pace, choice = self._paces[product], picked[product]
            begins = self._begins(ends, product, picked[None])[0]
            numbers = self._numbers[product][choice][: row + 1]
            run = int(np.argmax(begins[: row + 1] - numbers * pace.steps[choice]))
            turns = numbers[row] - numbers[run]
            spent[product] += pace.runs[choice] + turns * pace.steps[choice]
            last = self._lasts[product][choice][run]
            reads = [(ends[r.source][0, r.last[last]], r) for r in self._flow.reads[product]]
            if not reads:
                return spent
            _, read = max(reads, key=lambda pair: pair[0])
            product, row = read.source, int(read.last[last])

    def _ends(self, picked: Ints) -> list[Floats]:
        """When each row is there, of every product in every try."""
        ends: list[Floats] = []
        for product, pace in enumerate(self._paces):
            choices = picked[:, product]
            waited = self._numbers[product][choices] * pace.steps[choices, None]
            begins = self._begins(ends, product, picked)
            late = np.maximum.accumulate(begins - waited, axis=1)
            ends.append(late + waited + pace.runs[choices, None])
        return ends

    def _begins(self, ends: Sequence[Floats], product: int, picked: Ints) -> Floats:
        """When all is there that the run of each row reads."""
        lasts = self._lasts[product][picked[:, product]]
        found = np.zeros(lasts.shape)
        for read in self._flow.reads[product]:
            there = np.take_along_axis(ends[read.source], read.last[lasts], axis=1)
            np.maximum(found, there, out=found)
        return found
