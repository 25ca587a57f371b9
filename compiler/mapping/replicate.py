"""How many replicas each product gets, with the bound that says how good that is.

A product meets `windows` input vectors, one each `window_time`; r replicas share them and take
``window_time * ceil(windows / r)``. A replica takes `arrays` arrays, and a chip has so many. Three
objectives; PIMCOMP (Sun et al., DAC 2023, arXiv 2307.01475) calls the first high throughput and
the third low latency, and looks for both with a genetic algorithm:

1. `throughput`: every product works on another sample; the slowest one is the period.
2. `sequential`: one product after the other; the sum is the latency.
3. `pipelined`: one sample, and a product starts when there is anything to read; a product ends
   no sooner than all its windows after the first window of those before it, and those behind it
   need one window more.

All three are optimal: 1 and 3 by bisection over the times that some product can have, 2 by
dynamic programming over the same times (`choices`). Only the distinct values of
``ceil(windows / r)`` matter, about twice the root of `windows`.

Every replica has arrays of its own. A mapping that lets products share arrays needs fewer of them;
the times are then no bounds, unless `arrays` counts no more than what it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from ..errors import CapacityError
from .choices import Choices, Floats, Ints, greedy, optimum, relax


@dataclass(frozen=True)
class Layer:
    """One product.

    A replica takes `arrays` arrays, whose rows are cut in `row_blocks`. `before` and `after` are
    the window times of the other products on the longest path to it and from it, added: the
    number of products where all windows take the time 1 (see `longest_paths`). All counts are at
    least 1.
    """

    name: str
    windows: int
    arrays: int
    row_blocks: int
    window_time: float
    before: float = 0.0
    after: float = 0.0


@dataclass(frozen=True)
class Replication:
    """Replicas of each layer, their arrays, the time they take, and a bound on all such times."""

    replicas: tuple[int, ...]
    arrays: int
    time: float
    bound: float

    @property
    def distance(self) -> float:
        """How far from the bound, as a part of it."""
        return self.time / self.bound - 1 if self.bound else 0.0


def throughput(layers: Sequence[Layer], arrays: int) -> Replication:
    """The smallest period ``max_i L_i * ceil(w_i / r_i)`` with ``sum r_i * c_i <= arrays``.

    Arrays that it does not need go where they save most of the sum of all times.

    Raises `CapacityError` where one replica of each is too much.
    """
    return _slowest(layers, arrays, [0.0] * len(layers))


def pipelined(layers: Sequence[Layer], arrays: int) -> Replication:
    """The least latency of one sample, ``max_i before_i + L_i * ceil(w_i / r_i) + after_i``.

    No pipeline over the windows of one sample is faster with these replicas; one that waits for
    more than a window of each product is slower. Left arrays go as in `throughput`.

    Raises `CapacityError` where one replica of each is too much.
    """
    return _slowest(layers, arrays, [layer.before + layer.after for layer in layers])


def sequential(layers: Sequence[Layer], arrays: int) -> Replication:
    """The least ``sum_i L_i * ceil(w_i / r_i)`` with ``sum r_i * c_i <= arrays``.

    Raises `CapacityError` where one replica of each is too much.
    """
    _check_capacity(layers, arrays)
    table = _table(layers)
    picked = optimum(table, arrays)
    time = table.time(picked)
    return Replication(_replicas(layers, table, picked), table.used(picked), time, time)


def sequential_greedy(layers: Sequence[Layer], arrays: int) -> Replication:
    """As `sequential`, where each step takes the greatest drop of time an array.

    The bound is that of the relaxation, so `distance` is at least the distance to the optimum.

    Raises `CapacityError` where one replica of each is too much.
    """
    _check_capacity(layers, arrays)
    table = _table(layers)
    relaxation = relax(table, arrays)
    picked = greedy(table, arrays, relaxation)
    replicas = _replicas(layers, table, picked)
    return Replication(replicas, table.used(picked), table.time(picked), relaxation.bound)


def least_arrays(layers: Sequence[Layer], period: float) -> int | None:
    """Arrays with which no product takes longer than `period`; None where one window does."""
    table = _table(layers)
    picked = _in_time(table.times, period)
    return None if picked is None else table.used(picked)


def longest_paths(
    times: Sequence[float], edges: Iterable[tuple[int, int]]
) -> tuple[tuple[float, float], ...]:
    """For each node the times of the others on the longest path to it, and from it.

    Nodes are numbered in topological order: an edge leads to a higher number.
    """
    ordered = sorted(edges)
    before, after = [0.0] * len(times), [0.0] * len(times)
    for source, sink in ordered:
        before[sink] = max(before[sink], before[source] + times[source])
    for source, sink in reversed(ordered):
        after[source] = max(after[source], after[sink] + times[sink])
    return tuple(zip(before, after, strict=True))


def steps(windows: int) -> Ints:
    """The distinct values of ``ceil(windows / replicas)``, falling.

    With s the root, rounded down, more than s replicas give at most s + 1.
    """
    small = np.arange(1, isqrt(windows) + 2)
    values = np.concatenate([small, -(-windows // small)])
    # The least replicas for a value may do better than it.
    return np.unique(-(-windows // -(-windows // values)))[::-1]


def _table(layers: Sequence[Layer]) -> Choices:
    return Choices.of([_choices(layer) for layer in layers])


def _choices(layer: Layer) -> tuple[Floats, Ints]:
    values = steps(layer.windows)
    return layer.window_time * values.astype(np.float64), layer.arrays * -(-layer.windows // values)


def _check_capacity(layers: Sequence[Layer], arrays: int) -> None:
    needed = sum(layer.arrays for layer in layers)
    if needed > arrays:
        raise CapacityError(
            f"one replica of each of {len(layers)} products takes {needed:,} arrays, the chip has "
            f"{arrays:,}: {needed - arrays:,} short"
        )


def _slowest(layers: Sequence[Layer], arrays: int, fixed: Sequence[float]) -> Replication:
    """The least ``max_i fixed_i + L_i * ceil(w_i / r_i)``: the first such time that fits."""
    _check_capacity(layers, arrays)
    table = _table(layers)
    ends = table.times + np.asarray(fixed)[:, None]
    times = np.unique(ends[np.isfinite(ends)])
    low, high = 0, len(times) - 1
    picked = np.zeros(len(layers), np.int64)  # one replica each: the slowest, and it fits
    while low < high:
        middle = (low + high) // 2
        within = _in_time(ends, times[middle])
        if within is None or table.used(within) > arrays:
            low = middle + 1
        else:
            high, picked = middle, within
    left = table.at_least(picked)
    picked = greedy(left, arrays, relax(left, arrays))
    end = float(times[low]) if layers else 0.0
    return Replication(_replicas(layers, table, picked), table.used(picked), end, end)


def _in_time(ends: Floats, limit: float) -> Ints | None:
    """Of each row the first choice that ends in time; None where a row has none."""
    in_time = ends <= limit
    return in_time.argmax(1) if in_time.any(1).all() else None


def _replicas(layers: Sequence[Layer], table: Choices, picked: Ints) -> tuple[int, ...]:
    arrays = np.take_along_axis(table.arrays, picked[:, None], 1)[:, 0]
    return tuple(int(a) // layer.arrays for a, layer in zip(arrays, layers, strict=True))
