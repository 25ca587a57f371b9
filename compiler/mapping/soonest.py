"""How often each product lies on a chip, for an input to be through soonest.

Only arrays are dealt out: those of a core work side by side. The product that takes longest counts
whole, of another one the rows that it still has to make when all that it reads is there, so those
with few rows are made faster than they must be (`flow`). The search gives arrays where they shorten
the longest way most; then it takes back what shortens nothing, and gives it to others, as long as
that helps. At last it also takes from some what others save more with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from typing import NamedTuple

import numpy as np

from imcc.isa.target import Target

from .choices import Floats, Ints
from .deals import packed_deal
from .flow import Flow, Paces, Pipeline
from .overlapping import Overlapping
from .placer import Deal
from .regions import Cutter
from .shares import Demand, Demands, Room, Share, Table

# Of a chip, and of the arrays of a core, how many copies take: small pieces pack better, large ones
# make rows sooner.
_PARTS = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.87, 0.84, 0.8)
_PIECES = (1.0, 0.5, 0.25)
# Of a core, what a group more costs beside its arrays. The first is free: on a chip that just holds
# a network nothing would be left for more.
_PRICE = 0.005
# Of the time of a product with copies, for how much of it a core works on it beside its arrays.
_MOST_OF_CORE = 0.6
# Deals that pack, of which the best is taken.
_ENOUGH = 3
# Choices that one step may go on.
_STRIDES = (1, 2, 4, 8)
_ROUNDS = 3
_WORTH = 1e-4  # of the time, what an exchange must save
_EQUAL = 1e-9  # relative; times that differ by less are equal


@dataclass(frozen=True, eq=False)
class _Options:
    """What a product can have: shares, what they take, falling times, and paces."""

    shares: Ints
    costs: Floats
    times: Floats
    paces: Paces

    @classmethod
    def of(cls, demand: Demand, table: Table, room: Room, piece: float) -> _Options:
        """Of a table what takes more than another only if it is faster.

        Copies take no more than a part of a core.
        """
        costs = table.arrays + _PRICE * (table.cores - table.cores.min()) * room.arrays
        copies = table.shares[:, 1]
        allowed = copies * demand.footprint.arrays <= piece * room.arrays
        allowed &= table.loads <= _MOST_OF_CORE * table.times
        allowed |= copies == 1
        order = np.lexsort((table.times, costs))
        order = order[allowed[order]]
        times = table.times[order]
        before = np.concatenate([[inf], np.minimum.accumulate(times)[:-1]])
        kept = order[times < before * (1 - _EQUAL)]
        shares = table.shares[kept]
        assert isinstance(demand, Overlapping)  # others have no arrays of their own
        return cls(shares, costs[kept], table.times[kept], demand.paces(shares, table.times[kept]))


def soonest_deals(demands: Demands, cutters: Mapping[str, Cutter], target: Target) -> list[Deal]:
    """Deals that pack, the one first by which an input is through soonest."""
    found: list[tuple[float, Deal]] = []
    for time, shares in soonest_shares(demands, target):
        deal = packed_deal(shares, demands, cutters, target)
        if deal is not None:
            found.append((time, replace(deal, finer=demands.products[0].finer)))
        if len(found) == _ENOUGH:
            break
    return [deal for _, deal in sorted(found, key=lambda pair: pair[0])]


def soonest_shares(demands: Demands, target: Target) -> Iterator[tuple[float, Mapping[str, Share]]]:
    """The best shares for less and less of a chip, with the time of an input."""
    assert demands.flow is not None
    flow = demands.flow()
    chip = Room(target.chip.cores, target.core.arrays, tight=True, beside=True)
    tables = demands.tables(chip)
    for part, piece in product(_PARTS, _PIECES):
        room = replace(chip, part=part)
        options = [
            _Options.of(demand, table, room, piece)
            for demand, table in zip(demands.products, tables, strict=True)
        ]
        search = _Search(flow, options, room.total)
        if search.is_possible:
            search.run()
            yield search.time, _shares(demands, options, search.picked)


def _shares(demands: Demands, options: Sequence[_Options], picked: Ints) -> Mapping[str, Share]:
    found = {}
    for demand, option, choice in zip(demands.products, options, picked, strict=True):
        groups, copies, strips = option.shares[choice].tolist()
        found[demand.name] = demand.timed(Share(groups, copies, strips))
    return found


class _Slower(NamedTuple):
    """A slower choice of a product, and what it gives back."""

    number: int
    choice: int
    back: float


class _Search:
    """The choice of each product, while a chip is dealt out."""

    def __init__(self, flow: Flow, options: Sequence[_Options], budget: float) -> None:
        self._options = options
        self._pipeline = Pipeline(flow, [option.paces for option in options])
        self._budget = budget
        self.picked = np.zeros(len(options), np.int64)
        self.time = inf

    @property
    def is_possible(self) -> bool:
        """Whether the cheapest choices are within the budget."""
        return self._left(self.picked) >= 0

    def run(self) -> None:
        """Choose."""
        while self._shorten_the_way():
            pass
        self.time = float(self._pipeline.times(self.picked[None])[0])
        for _ in range(_ROUNDS):
            before = self.time
            self._take_back()
            while self._improve():
                pass
            if self.time >= before * (1 - _EQUAL):
                break
        while self._exchange():
            pass

    def _left(self, picked: Ints) -> float:
        costs = (option.costs[choice] for option, choice in zip(self._options, picked, strict=True))
        return self._budget - float(sum(costs))

    def _shorten_the_way(self) -> bool:
        """Make a product on the longest way faster, where that takes least for what it saves."""
        way, left = self._pipeline.longest_way(self.picked), self._left(self.picked)
        best, change = 0.0, None
        for number in np.flatnonzero(way).tolist():
            option, now = self._options[number], int(self.picked[number])
            for choice in self._beyond(number):
                cost = option.costs[choice] - option.costs[now]
                saved = way[number] * (1 - option.times[choice] / option.times[now])
                if cost <= left and saved > best * cost:
                    best, change = saved / cost, (number, choice)
        if change is not None:
            self.picked[change[0]] = change[1]
        return change is not None

    def _exchange(self) -> bool:
        """Make a product faster with what is taken from others, where that is of most use."""
        slower, left = self._slower(), self._left(self.picked)
        tries = [
            found
            for number in range(len(self.picked))
            for choice in self._beyond(number)
            if (found := self._paid(number, choice, left, slower)) is not None
        ]
        if not tries:
            return False
        times = self._pipeline.times(np.array(tries))
        best = int(times.argmin())
        if times[best] >= self.time * (1 - _WORTH):
            return False
        self.picked, self.time = tries[best], float(times[best])
        return True

    def _slower(self) -> list[_Slower]:
        """Slower choices, first what costs least time for what it gives back."""
        found = [
            (number, int(now) - stride)
            for number, now in enumerate(self.picked)
            for stride in _STRIDES
            if stride <= now
        ]
        if not found:
            return []
        back = np.array([self._cost(n, self.picked[n]) - self._cost(n, c) for n, c in found])
        lost = (self._pipeline.times(self._changed(found)) - self.time) / back
        order = np.argsort(lost, kind="stable")
        return [_Slower(found[one][0], found[one][1], float(back[one])) for one in order]

    def _paid(
        self, number: int, choice: int, left: float, slower: Sequence[_Slower]
    ) -> Ints | None:
        """The choices with a faster one, paid by what is left and by slower others; None if not."""
        picked, changed = self.picked.copy(), {number}
        picked[number] = choice
        due = self._cost(number, choice) - self._cost(number, self.picked[number]) - left
        for one in slower:
            if due <= 0:
                break
            if one.number not in changed:
                changed.add(one.number)
                picked[one.number] = one.choice
                due -= one.back
        return picked if due <= 0 else None

    def _changed(self, changes: Sequence[tuple[int, int]]) -> Ints:
        """The choices with one of these changes each: a product and its choice."""
        picked = np.repeat(self.picked[None], len(changes), axis=0)
        numbers, choices = np.array(changes).T
        picked[np.arange(len(changes)), numbers] = choices
        return picked

    def _cost(self, number: int, choice: int) -> float:
        return float(self._options[number].costs[choice])

    def _beyond(self, number: int) -> Iterator[int]:
        """Faster choices of a product."""
        now, count = int(self.picked[number]), len(self._options[number].costs)
        yield from (now + stride for stride in _STRIDES if now + stride < count)

    def _take_back(self) -> None:
        """Make every product as slow as it can be without an input being later."""
        for number in range(len(self.picked)):
            slower = np.repeat(self.picked[None], self.picked[number] + 1, axis=0)
            slower[:, number] = np.arange(len(slower))
            times = self._pipeline.times(slower)
            choice = int(np.argmax(times <= self.time * (1 + _EQUAL)))
            self.picked[number], self.time = choice, float(times[choice])

    def _improve(self) -> bool:
        """Make the product faster that saves most for what it takes."""
        left = self._left(self.picked)
        tries, costs = [], []
        for number, option in enumerate(self._options):
            for choice in self._beyond(number):
                cost = option.costs[choice] - option.costs[self.picked[number]]
                if cost <= left:
                    tries.append((number, choice))
                    costs.append(cost)
        if not tries:
            return False
        picked = self._changed(tries)
        times = self._pipeline.times(picked)
        saved = (self.time - times) / np.array(costs)
        best = int(saved.argmax())
        if times[best] >= self.time * (1 - _EQUAL):
            return False
        self.picked, self.time = picked[best], float(times[best])
        return True
