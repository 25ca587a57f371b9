"""Calibration: statistics of every tensor over sample data, and ranges made from them.

A tensor's statistics are its minimum, its maximum and a histogram of ``2 * SIDE_BINS`` bins over
``[-reach, reach)``, `reach` being a power of two. When a value lies outside, the reach doubles and
bins are merged in pairs. Scaling by powers of two is exact, so the result does not depend on how
the samples are cut into mini-batches, and memory does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..ir import Array, Graph, Node, evaluate_all
from ..threads import one_blas_thread, thread_count
from ..work import live_bytes
from .scores import counting, score_axes

SIDE_BINS = 2048
_GRID = np.linspace(0.2, 1.0, 161)
_CHUNK = 1 << 20
_MEMORY = 256 << 20  # bytes of activations of a mini-batch


class Method(StrEnum):
    """How a range is chosen from statistics."""

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"
    MSE = "mse"


@dataclass
class Statistics:
    """What is known of a tensor's values; grows with `update`."""

    low: float = np.inf
    high: float = -np.inf
    count: int = 0
    whole: bool = True
    reach: float = 0.0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2 * SIDE_BINS, np.int64))

    def update(self, values: Array) -> None:
        """Count values; raises `InputError` where they are not finite."""
        flat = np.ravel(values)
        for start in range(0, flat.size, _CHUNK):
            self._update(flat[start : start + _CHUNK].astype(np.float32, copy=False))

    def _update(self, values: NDArray[np.float32]) -> None:
        low, high = float(values.min()), float(values.max())
        if not np.isfinite(low + high):
            raise InputError("calibration met values that are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.count += values.size
        self.whole = self.whole and bool((np.rint(values) == values).all())
        self._widen(max(-low, high))
        if self.reach:
            places = np.floor(values * np.float64(SIDE_BINS / self.reach)).astype(np.int64)
            self.bins += np.bincount(places + SIDE_BINS, minlength=2 * SIDE_BINS)
        else:
            self.bins[SIDE_BINS] += values.size

    def merge(self, other: Statistics) -> None:
        """Add what another thread has counted."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.count += other.count
        self.whole = self.whole and other.whole
        self._reach_out(other.reach)
        other._reach_out(self.reach)
        self.bins += other.bins

    def _widen(self, magnitude: float) -> None:
        """Double the reach until it is above `magnitude`."""
        if magnitude < self.reach or magnitude == 0.0:
            return
        self._reach_out(2.0 ** np.frexp(magnitude)[1])

    def _reach_out(self, reach: float) -> None:
        """Widen to `reach`, a power of two; does nothing where that is not wider."""
        if reach <= self.reach:
            return
        while 0.0 < self.reach < reach:
            merged = self.bins.reshape(-1, 2).sum(axis=1)
            half = SIDE_BINS // 2
            self.bins = np.pad(merged, half)
            self.reach *= 2
        self.reach = reach

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        places = np.arange(-SIDE_BINS, SIDE_BINS, dtype=np.float64) + 0.5
        return np.asarray(places * (self.reach / SIDE_BINS), np.float64)

    def quantile(self, fraction: float) -> float:
        """The value below which `fraction` of the samples lie, to within one bin."""
        below = np.concatenate([[0], np.cumsum(self.bins)])
        edges = np.arange(-SIDE_BINS, SIDE_BINS + 1) * (self.reach / SIDE_BINS)
        found = float(np.interp(fraction * self.count, below, edges))
        return min(max(found, self.low), self.high)


def calibrate(
    graph: Graph, batches: Iterable[Mapping[str, Array]], names: Collection[str]
) -> dict[str, Statistics]:
    """Statistics of the named values of a float graph over mini-batches of its inputs.

    Raises `InputError` if there is no mini-batch, or a value is not finite.
    """
    waiting, axes = _Waiting(_cut(batches, _samples_at_once(graph))), score_axes(graph)
    with one_blas_thread(), ThreadPoolExecutor(thread_count()) as pool:
        jobs = [pool.submit(_observe, graph, waiting, names, axes) for _ in range(thread_count())]
        first, *others = [job.result() for job in jobs]
    if not waiting.taken:
        raise InputError("calibration data is empty; give at least one sample")
    for other in others:
        for name, statistics in other.items():
            first[name].merge(statistics)
    return first


def _samples_at_once(graph: Graph) -> int:
    """As many samples as can be computed together in little memory; at least one."""
    most, _ = live_bytes(graph)
    return max(1, _MEMORY // max(1, most))


def _cut(batches: Iterable[Mapping[str, Array]], most: int) -> Iterator[Mapping[str, Array]]:
    """The same samples in mini-batches of at most so many."""
    for batch in batches:
        count = max(map(len, batch.values()), default=0)
        for start in range(0, count, most):
            yield {name: array[start : start + most] for name, array in batch.items()}


class _Waiting:
    """Mini-batches that several threads take from, one at a time."""

    def __init__(self, batches: Iterable[Mapping[str, Array]]) -> None:
        self._batches = iter(batches)
        self._lock = Lock()
        self.taken = 0

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        while True:
            with self._lock:
                batch = next(self._batches, None)
                self.taken += batch is not None
            if batch is None:
                return
            yield batch


def _observe(
    graph: Graph,
    batches: Iterable[Mapping[str, Array]],
    names: Collection[str],
    axes: Mapping[str, int],
) -> dict[str, Statistics]:
    """Statistics over the mini-batches that this thread gets."""
    found = {name: Statistics() for name in names}
    for batch in batches:
        for name in found.keys() & batch.keys():
            _update(found[name], name, batch[name])
        for node, results in _evaluated(graph, batch):
            for value, array in zip(node.results, results, strict=True):
                if value.name not in found:
                    continue
                axis = axes.get(value.name)
                counted = array if axis is None else counting(array, axis)
                _update(found[value.name], value.name, counted)
    return found


def _evaluated(
    graph: Graph, batch: Mapping[str, Array]
) -> Iterator[tuple[Node, tuple[Array, ...]]]:
    """As `evaluate_all`, without NumPy's warnings: what is not finite is an error here."""
    with np.errstate(all="ignore"):
        yield from evaluate_all(graph, batch)


def _update(statistics: Statistics, name: str, array: Array) -> None:
    try:
        statistics.update(array)
    except InputError as error:
        raise InputError(f"tensor '{name}': {error}; check the data and the model") from error


def value_range(
    statistics: Statistics, method: Method, percentile: float, bits: int
) -> tuple[float, float]:
    """Range ``low <= 0 <= high`` that codes of `bits` bits should cover.

    `percentile` (above 50, at most 100) is the upper quantile that is kept; as much is cut from
    below. The mse method tries fractions 0.2..1 of the full range.
    """
    low, high = statistics.low, statistics.high
    if method is Method.PERCENTILE:
        fraction = percentile / 100
        low, high = statistics.quantile(1 - fraction), statistics.quantile(fraction)
    low, high = min(low, 0.0), max(high, 0.0)
    if method is Method.MSE:
        best = _best_fraction(statistics, low, high, bits)
        low, high = low * best, high * best
    return low, high


def _best_fraction(statistics: Statistics, low: float, high: float, bits: int) -> float:
    """The fraction of a range whose codes have the least mean squared error."""
    used = statistics.bins > 0
    centres, weights = statistics.centres[used], statistics.bins[used]
    errors = []
    for fraction in _GRID:
        step = (high - low) * fraction / ((1 << bits) - 1) or 1.0
        zero = np.rint(-low * fraction / step)
        codes = np.clip(np.rint(centres / step) + zero, 0, (1 << bits) - 1)
        errors.append(float(weights @ (centres - (codes - zero) * step) ** 2))
    # A later fraction wins a tie, so that nothing is clipped without need.
    return float(_GRID[len(errors) - 1 - int(np.argmin(errors[::-1]))])
