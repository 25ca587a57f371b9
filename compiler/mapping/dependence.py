"""A bound of the latency of one input by what windows are made of.

The windows of a product wait for windows of the products before it. Of products i with w_i windows,
c_i arrays a replica and L_i the time of a window, all windows of i take ``x_i = w_i L_i / r_i`` on
r_i replicas. Say

- ``heads[j, k]`` is the least part of the windows of j that a window of k is made of, whichever:
  behind the first start of j, k starts no sooner than ``max(L_j, heads[j, k] x_j)``;
- ``tails[k, l]`` is the least part of the windows of l that are made of a window of k, whichever:
  behind the last end of k, l ends no sooner than ``max(L_l, tails[k, l] x_l)``.

So an input takes at least the sum of these along a chain of heads to some i, and x_i, and those
along a chain of tails behind i. Each such *way*, with one side of each maximum, says
``T >= b + sum a_i x_i``, and so does each mean of ways. On C arrays ``sum c_i r_i <= C``, which is
``sum k_i / x_i <= C`` with ``k_i = c_i w_i L_i``, and r_i is from 1 to w_i. Hence for each mean of
ways and each price p of an array

    ``T >= b + sum min over L_i <= x_i <= w_i L_i of (a_i x_i + p k_i / x_i) - p C``,

at the best price, within the limits of all x_i, ``b + (sum sqrt(a_i k_i))^2 / C``. This is concave
in the mean, and the longest way at the x of the minimum is the direction in which it rises
fastest: the method of Frank and Wolfe (1956), here in pairs (Lacoste-Julien and Jaggi, 2015). It
may stop anywhere, for the bound holds for every mean.

Two things are supposed: a window begins when all is there that it reads, of all channels; and, as
in `replicate`, every product has arrays of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .choices import Floats, Ints
from .replicate import Layer

_ROUNDS = 80
_NEAR = 1e-3  # so near to the longest way, as a part of it, a mean is good enough
_MOVES = 4  # of weight in a round
_TRIES = 3  # for the size of a move
_ROUNDING = 1e-9  # more than that of some hundred float64 operations
_TINY = 1e-200  # stands for 0 where that would divide; what comes of it is a bound as well


@dataclass(frozen=True, eq=False)
class Reach:
    """`heads` and `tails` between products, in topological order: least parts of their windows.

    ``heads[j, k]`` is of j, ``tails[k, l]`` of l; 0 where nothing is known.
    """

    heads: Floats
    tails: Floats


@dataclass(frozen=True, eq=False)
class Proof:
    """Ways and their weights, and what they prove: no input takes less than `bound` ns.

    A row of `ways` has a_i of every product and b, in ns, last.
    """

    bound: float
    ways: Floats
    weights: Floats


def dependence(layers: Sequence[Layer], reach: Reach, arrays: int) -> Proof:
    """Bound the latency on so many arrays, at least as many as one replica of each product takes.

    It is within 0.1 % of the best that ways prove, or what so many rounds give: within 0.5 % for
    the 95 products of Inception-v3.
    """
    search = _Search(_Chip.of(layers, arrays), _Network(layers, reach))
    rounds = 0
    while rounds < _ROUNDS and search.rise():
        rounds += 1
    return search.proof()


@dataclass(frozen=True, eq=False)
class _Chip:
    """Limits of the times x of products in ns, `work` k_i in arrays times ns, and the arrays."""

    least: Floats
    most: Floats
    work: Floats
    arrays: float

    @classmethod
    def of(cls, layers: Sequence[Layer], arrays: int) -> _Chip:
        least = np.array([layer.window_time for layer in layers], np.float64)
        most = least * [layer.windows for layer in layers]
        held = np.array([layer.arrays for layer in layers], np.float64)
        return cls(least, most, held * most, float(arrays))

    def times(self, weights: Floats) -> tuple[Floats, float]:
        """The times x of least ``sum a x``, and the bound of it that their price proves."""
        weights = np.maximum(weights, _TINY)
        root = self._root_of_price(weights)
        times = np.clip(root * np.sqrt(self.work / weights), self.least, self.most)
        over = float((self.work / times).sum()) - self.arrays
        return times, float(weights @ times) + root * root * over

    def _root_of_price(self, weights: Floats) -> float:
        """The root of the least price at which the arrays do; 0 where they do anyway.

        A product is at its least time up to a root, and at its most from another one. Between two
        such edges those at a limit use `fixed` arrays, and the others `free` divided by the root.
        """
        shape, free = np.sqrt(weights / self.work), np.sqrt(weights * self.work)
        at_least, at_most = self.work / self.least, self.work / self.most
        if at_least.sum() <= self.arrays:
            return 0.0
        edges = np.concatenate([self.least * shape, self.most * shape])
        order = np.argsort(edges)
        edges = edges[order]
        free = np.concatenate([free, -free])[order].cumsum()
        fixed = at_least.sum() + np.concatenate([-at_least, at_most])[order].cumsum()
        fits = fixed + free / edges <= self.arrays
        fits[-1] = True  # whatever the rounding
        last = max(1, int(fits.argmax()))
        root = free[last - 1] / max(self.arrays - fixed[last - 1], _TINY)
        return float(np.clip(root, edges[last - 1], edges[last]))


@dataclass(frozen=True, eq=False)
class _Chains:
    """Of each product the longest chain of waits that leads to it, and the product before it."""

    times: Floats
    links: Ints

    @classmethod
    def of(cls, waits: Floats, order: Iterable[int]) -> _Chains:
        """``waits[i, j]`` is for how long i waits for j, which comes earlier in `order`."""
        times, links = np.zeros(len(waits)), np.full(len(waits), -1)
        for product in order:
            found = times + waits[product]
            last = int(found.argmax())
            if found[last] > 0:
                times[product], links[product] = found[last], last
        return cls(times, links)


class _Network:
    """The ways through a network: a row each, with a_i of every product, and b last."""

    def __init__(self, layers: Sequence[Layer], reach: Reach) -> None:
        self._least = np.array([layer.window_time for layer in layers], np.float64)
        # Both with a row for the product that waits, and a column for the one that works.
        self._parts = (np.ascontiguousarray(reach.heads.T), reach.tails)

    def longest(self, times: Floats) -> Floats:
        """The longest way at the times x of products."""
        before, after = self._chains(times)
        middle = int(np.argmax(before.times + times + after.times))
        return self._way(times, middle, (before, after))

    def through_each(self, times: Floats) -> Floats:
        """For each product the longest way at times x that has it in the middle."""
        chains = self._chains(times)
        return np.array([self._way(times, middle, chains) for middle in range(len(times))])

    def _chains(self, times: Floats) -> tuple[_Chains, _Chains]:
        heads, tails = (
            np.where(parts > 0, np.maximum(self._least, parts * times), -np.inf)
            for parts in self._parts
        )
        order = range(len(times))
        return _Chains.of(heads, order), _Chains.of(tails, reversed(order))

    def _way(self, times: Floats, middle: int, chains: tuple[_Chains, _Chains]) -> Floats:
        way = np.zeros(len(times) + 1)
        way[middle] = 1.0
        for parts, chain in zip(self._parts, chains, strict=True):
            here = middle
            while (there := int(chain.links[here])) >= 0:
                part = parts[here, there]
                if part * times[there] > self._least[there]:
                    way[there] = part
                else:
                    way[-1] += self._least[there]
                here = there
        return way


class _Search:
    """A mean of ways, which rises round by round."""

    def __init__(self, chip: _Chip, network: _Network) -> None:
        self._chip, self._network = chip, network
        times, _ = chip.times(np.ones(len(chip.work)))
        self._ways = network.through_each(times)
        self._weights = np.full(len(self._ways), 1 / len(self._ways))

    def proof(self) -> Proof:
        """What the mean proves, whatever the rounding."""
        _, bound = self._bound(self._weights)
        return Proof(bound * (1 - _ROUNDING), self._ways, self._weights)

    def rise(self) -> bool:
        """Add the longest way and move weight; False where it is hardly longer than the mean."""
        times, bound = self._bound(self._weights)
        way = self._network.longest(times)
        longest = float(_lengths(way, times))
        if longest - bound <= _NEAR * longest:
            return False
        self._ways = np.vstack([self._ways, way])
        self._weights = np.append(self._weights, 0.0)
        for _ in range(_MOVES):
            times = self._move(times)
        return True

    def _bound(self, weights: Floats) -> tuple[Floats, float]:
        """The times x of a mean, and the bound that it proves."""
        mean = weights @ self._ways
        times, bound = self._chip.times(mean[:-1])
        return times, bound + float(mean[-1])

    def _move(self, times: Floats) -> Floats:
        """Move weight from the shortest way at `times` to the longest; the times after that."""
        lengths = _lengths(self._ways, times)
        turn = np.zeros(len(lengths))
        longest = int(lengths.argmax())
        shortest = int(np.where(self._weights > 0, lengths, np.inf).argmin())
        turn[longest] += 1.0
        turn[shortest] -= 1.0

        def slope(step: float) -> float:
            there, _ = self._bound(self._weights + step * turn)
            return float(turn @ _lengths(self._ways, there))

        step = _peak(slope, float(turn @ lengths), float(self._weights[shortest]))
        self._weights = np.maximum(self._weights + step * turn, 0.0)
        return self._bound(self._weights)[0]


def _lengths(ways: Floats, times: Floats) -> Floats:
    found: Floats = ways[..., :-1] @ times + ways[..., -1]
    return found


def _peak(slope: Callable[[float], float], first: float, most: float) -> float:
    """About where a slope that falls from `first` at 0 is 0, or `most` where it does not fall so.

    The steps are those of false position, in the form called Illinois.
    """
    last, low, high = slope(most), 0.0, most
    if last >= 0 or first <= 0:
        return most if last >= 0 else 0.0
    step = 0.0
    for _ in range(_TRIES):
        step = low + (high - low) * first / (first - last)
        found = slope(step)
        if found > 0:
            low, first, last = step, found, last / 2
        else:
            high, first, last = step, first / 2, found
    return step
