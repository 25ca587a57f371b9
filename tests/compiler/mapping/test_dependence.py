"""The bound by dependence: in closed form, and against schedules of windows."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from imcc.compiler.mapping.dependence import Reach, dependence
from imcc.compiler.mapping.replicate import Layer

Reads = NDArray[np.bool_]  # by window: the windows of another product that it is made of


def layer(windows: int, arrays: int = 1, window_time: float = 1.0) -> Layer:
    return Layer("", windows, arrays, 1, window_time)


def reach(products: int, heads: float = 0.0, tails: float = 0.0) -> Reach:
    """All pairs alike."""
    pairs = np.triu(np.ones((products, products)), 1)
    return Reach(heads * pairs, tails * pairs)


def test_one_product_shares_its_work_out() -> None:
    found = dependence([layer(100, 2, 5.0)], reach(1), 40)
    assert found.bound == pytest.approx(100 * 2 * 5.0 / 40)


def test_one_product_with_arrays_for_all_windows() -> None:
    assert dependence([layer(100, 2, 5.0)], reach(1), 300).bound == pytest.approx(5.0)


def test_products_that_wait_for_all_of_each_other() -> None:
    """``(sum sqrt(k)) ** 2 / C``, as layer by layer."""
    layers = [layer(400, 1, 3.0), layer(900, 2, 1.0), layer(100, 3, 2.0)]
    found = dependence(layers, reach(3, heads=1.0, tails=1.0), 60)
    roots = sum(sqrt(one.windows * one.arrays * one.window_time) for one in layers)
    assert found.bound == pytest.approx(roots**2 / 60, rel=2e-3)


def test_a_product_of_one_window_has_its_arrays_whatever_it_gains() -> None:
    """1000 windows on 50 of 60 arrays, and a fully connected layer on the other 10."""
    found = dependence([layer(1000), layer(1, 10)], reach(2, heads=1.0, tails=1.0), 60)
    assert found.bound == pytest.approx(1000 / 50 + 1)


def test_products_that_wait_for_a_window_only() -> None:
    """A chain of which each has a window before and after: half of the time is that of both."""
    found = dependence([layer(1000), layer(1000)], reach(2, heads=1e-6, tails=1e-6), 100)
    assert found.bound == pytest.approx(1000 / 50 + 1, rel=2e-3)


def test_the_proof_is_a_mean_of_ways() -> None:
    layers = [layer(200, n + 1, 1.0 + n) for n in range(6)]
    proof = dependence(layers, reach(6, heads=0.2, tails=0.1), 400)
    assert proof.weights.min() >= 0
    assert proof.weights.sum() == pytest.approx(1)
    assert set(np.unique(proof.ways[:, :-1])) <= {0.0, 0.1, 0.2, 1.0}
    # Any division of the arrays takes longer on the longest of its ways.
    random = np.random.default_rng(1)
    work = np.array([one.windows * one.arrays * one.window_time for one in layers])
    for share in random.dirichlet(np.ones(6), 50):
        times = work / (400 * share)
        mean = proof.weights @ (proof.ways[:, :-1] @ times + proof.ways[:, -1])
        assert mean >= proof.bound * (1 - 1e-9)


@dataclass(frozen=True)
class Network:
    """Products with their replicas; `reads` by pair, the earlier product first."""

    layers: tuple[Layer, ...]
    replicas: tuple[int, ...]
    reads: dict[tuple[int, int], Reads]

    def made_of(self) -> dict[tuple[int, int], Reads]:
        """For each pair the windows that windows are made of, also through others."""
        found: dict[tuple[int, int], Reads] = {}
        for k, sink in enumerate(self.layers):
            for j in reversed(range(k)):
                through = np.zeros((sink.windows, self.layers[j].windows), np.bool_)
                if (j, k) in self.reads:
                    through |= self.reads[j, k]
                for m in range(j + 1, k):
                    if (m, k) in self.reads:
                        through |= self.reads[m, k] @ found[j, m]
                found[j, k] = through
        return found

    def reach(self) -> Reach:
        """Counted window by window."""
        heads, tails = np.zeros((2, len(self.layers), len(self.layers)))
        for pair, made in self.made_of().items():
            heads[pair] = made.mean(axis=1).min()
            tails[pair] = made.mean(axis=0).min()
        return Reach(heads, tails)

    def makespan(self) -> float:
        """When the last window ends if each product takes up what is there, first things first."""
        ends: list[NDArray[np.float64]] = []
        for k, (one, replicas) in enumerate(zip(self.layers, self.replicas, strict=True)):
            there = np.zeros(one.windows)
            for j in range(k):
                if (j, k) in self.reads:
                    waits = np.where(self.reads[j, k], ends[j], 0.0).max(axis=1)
                    there = np.maximum(there, waits)
            ends.append(served(there, replicas, one.window_time))
        return max(float(end.max()) for end in ends)


def served(there: NDArray[np.float64], replicas: int, time: float) -> NDArray[np.float64]:
    free, ends = [0.0] * replicas, np.zeros(len(there))
    for window in np.argsort(there, kind="stable"):
        ends[window] = max(heapq.heappop(free), there[window]) + time
        heapq.heappush(free, ends[window])
    return ends


@st.composite
def networks(draw: st.DrawFn) -> Network:
    count = draw(st.integers(1, 5))
    layers = tuple(
        layer(draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.sampled_from([1.0, 2.5])))
        for _ in range(count)
    )
    replicas = tuple(draw(st.integers(1, one.windows)) for one in layers)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reads = {}
    for k in range(1, count):
        for j in {k - 1, *draw(st.sets(st.integers(0, k - 1), max_size=2))}:
            reads[j, k] = windows_of(random, layers[k].windows, layers[j].windows)
    return Network(layers, replicas, reads)


def windows_of(random: np.random.Generator, sinks: int, sources: int) -> Reads:
    """Neighbouring windows that move on, as of a convolution, or any."""
    if random.integers(3) == 0:
        return random.random((sinks, sources)) < random.random()
    reach, places = random.integers(1, sources + 1), np.arange(sources)
    middles = np.arange(sinks)[:, None] * sources / sinks
    return np.asarray(np.abs(places - middles) < reach)


@settings(deadline=None)
@given(networks())
def test_no_schedule_of_windows_is_faster(network: Network) -> None:
    pairs = zip(network.layers, network.replicas, strict=True)
    arrays = sum(one.arrays * replicas for one, replicas in pairs)
    found = dependence(network.layers, network.reach(), arrays)
    assert network.makespan() >= found.bound * (1 - 1e-9)


def test_bounds_of_more_products_are_no_lower() -> None:
    layers = [layer(100), layer(50, 2), layer(25, 4)]

    def bound(some: Sequence[Layer]) -> float:
        return dependence(some, reach(len(some), 0.1, 0.1), 50).bound

    found = [bound(layers[:count]) for count in (1, 2, 3)]
    assert found == sorted(found)
