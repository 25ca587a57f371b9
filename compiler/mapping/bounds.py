"""What no program on a chip can be faster than: bounds by term.

For products i with w_i windows, c_i arrays a replica, a_i row blocks and L_i the time of a window,
on N cores with C arrays in all, a program takes, whatever its schedule and placement, at least the
largest of

- *replication*, what the arrays allow. Samples in a pipeline: ``min max_i L_i * ceil(w_i / r_i)``;
  one sample, pipelined: ``min max_i h_i + L_i * ceil(w_i / r_i) + t_i``, with a window of each
  product before and after it; layer by layer: ``min sum_i L_i * ceil(w_i / r_i)``; each over
  ``sum r_i * c_i <= C`` (`replicate` has the optima);
- *dependence*, what windows are made of. Of one sample: a product waits for more than the first
  window of those before it, and those behind it have more than one to do (`dependence`, which needs
  to know what windows read; `schedule.bound` adds it);
- *issue*, what the cores can start: ``s * sum w_i * a_i / N`` where a core starts one row block
  each s, as PIMCOMP's do (MVMUL in its evaluator: 200 ns); ``sum L_i * w_i * k_i / N`` where a core
  finishes a window before it starts another, with k_i the least number of cores that hold a
  replica; nothing where all arrays of a core can work at once;
- *memory*, bytes from and to the global memory / bandwidth;
- *network*, bytes between cores / bandwidth of all ports together, or of the bus.

Replication, dependence and issue bound what the arrays do and leave out data movement; a tight
bound with movement needs the placement. The first two hold where replicas have arrays of their own
(`replicate`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from imcc.isa.target import Network, Target

from .replicate import Layer, Replication, pipelined, sequential, throughput

_NS_PER_US = 1000.0

TERMS = ("replication", "dependence", "issue", "memory", "network")
"""The terms of a bound, by name."""


@dataclass(frozen=True)
class Resources:
    """What a chip has, for bounds. Times in ns, bandwidths in bytes per ns.

    `issue_ns` is the time between two starts on a core; None where a core finishes one window
    before it starts another. `network_bytes_per_ns` counts all ports together, or is the bus's.
    """

    cores: int
    arrays_per_core: int
    issue_ns: float | None
    memory_bytes_per_ns: float
    network_bytes_per_ns: float

    @classmethod
    def of(cls, target: Target) -> Self:
        """The numbers of a target; the global memory is one for all cores.

        All arrays of a core can work at once: copies of a matrix take windows of one instruction,
        and several instructions are under way. So the issue of instructions bounds nothing, but
        the starts of row blocks do where the target has a time for them.
        """
        bytes_per_ns = target.timing.clock_mhz / _NS_PER_US
        ports = 1 if target.chip.network is Network.BUS else target.chip.cores
        return cls(
            cores=target.chip.cores,
            arrays_per_core=target.core.arrays,
            issue_ns=target.timing.t_start_ns,
            memory_bytes_per_ns=target.timing.global_bytes_per_cycle * bytes_per_ns,
            network_bytes_per_ns=target.timing.noc_bytes_per_cycle * bytes_per_ns * ports,
        )

    @property
    def arrays(self) -> int:
        """Arrays of all cores."""
        return self.cores * self.arrays_per_core


@dataclass(frozen=True)
class Traffic:
    """Bytes that one sample moves: from and to the global memory, and between cores."""

    memory_bytes: int = 0
    network_bytes: int = 0


@dataclass(frozen=True)
class Bound:
    """A lower bound of a time in ns, by term; `replicas` attain the first.

    `dependence` is 0 where nothing is known of it, and for samples in a pipeline.
    """

    replication: float
    dependence: float
    issue: float
    memory: float
    network: float
    replicas: tuple[int, ...]

    @property
    def value(self) -> float:
        """The largest of the terms."""
        return float(getattr(self, self.term))

    @property
    def term(self) -> str:
        """The name of the largest term."""
        return max(TERMS, key=lambda name: float(getattr(self, name)))


def period_bound(layers: Sequence[Layer], chip: Resources, traffic: Traffic) -> Bound:
    """Bound the time between samples, all products at work on samples of their own.

    Raises `CapacityError` where one replica of each product is too much.
    """
    return _bound(throughput, layers, chip, traffic)


def latency_bound(layers: Sequence[Layer], chip: Resources, traffic: Traffic) -> Bound:
    """Bound the latency of one sample whose products work on it at the same time.

    Raises `CapacityError` where one replica of each product is too much.
    """
    return _bound(pipelined, layers, chip, traffic)


def sequential_bound(layers: Sequence[Layer], chip: Resources, traffic: Traffic) -> Bound:
    """Bound the latency of one sample, product after product.

    Raises `CapacityError` where one replica of each product is too much.
    """
    return _bound(sequential, layers, chip, traffic)


def _bound(
    replicate: Callable[[Sequence[Layer], int], Replication],
    layers: Sequence[Layer],
    chip: Resources,
    traffic: Traffic,
) -> Bound:
    best = replicate(layers, chip.arrays)
    return Bound(
        replication=best.bound,
        dependence=0.0,
        issue=issue_time(layers, chip),
        memory=traffic.memory_bytes / chip.memory_bytes_per_ns,
        network=traffic.network_bytes / chip.network_bytes_per_ns,
        replicas=best.replicas,
    )


def issue_time(layers: Sequence[Layer], chip: Resources) -> float:
    """Time of all windows on the cores, evenly spread; replicas do not change it."""
    if chip.issue_ns is None:
        held = [-(-layer.arrays // chip.arrays_per_core) for layer in layers]
        times = (n.windows * n.window_time * k for n, k in zip(layers, held, strict=True))
        return sum(times) / chip.cores
    return sum(layer.windows * layer.row_blocks for layer in layers) * chip.issue_ns / chip.cores


def window_time(target: Target, input_bits: int, columns: int) -> float:
    """The least ns of one window of a product with `columns` used columns in some array.

    ``ceil(input_bits / step_bits) * max(t_step, ceil(columns / converters) * t_adc)``, as the
    machine counts an array that is read once a step; digital arrays have no converters.
    """
    rounds = -(-columns // target.adc.per_array) if target.adc.bits else 0
    steps = -(-input_bits // target.array.step_bits)
    return steps * max(target.timing.t_step_ns, rounds * target.timing.t_adc_ns)


@dataclass(frozen=True)
class Rounds:
    """Windows of one product on a core: `copies` at a time, each in `row_blocks` starts.

    Times in ns: of a window, and between two starts.
    """

    copies: int
    row_blocks: int
    window_time: float
    start_time: float

    def time(self, windows: int) -> float:
        """The time of so many windows, as the machine counts them."""
        rounds = -(-windows // self.copies)
        each = self.row_blocks * self.start_time
        last = max(0.0, (windows - (rounds - 1) * self.copies) * each - self.start_time)
        return (rounds - 1) * max(self.window_time, self.copies * each) + last + self.window_time


def work_time(layers: Sequence[Layer], arrays: int) -> float:
    """``sum L_i * w_i * c_i / C``: all arrays at work all the time. Weak, but in closed form."""
    return sum(n.window_time * n.windows * n.arrays for n in layers) / arrays


def divisible_time(layers: Sequence[Layer], arrays: int) -> float:
    """The layer-by-layer bound if replicas and windows could be divided at will.

    Where no product has too few windows for its share, or is held once already, replicas in
    proportion to ``sqrt(L_i * w_i / c_i)`` give ``(sum sqrt(L_i * w_i * c_i)) ** 2 / C``. Clipped
    to [1, w_i], the proportion comes from bisection; the result is the dual value at it, below
    `sequential` whatever its rounding.
    """
    work = np.array([layer.window_time * layer.windows for layer in layers])
    held = np.array([layer.arrays for layer in layers], np.float64)
    most = np.array([layer.windows for layer in layers], np.float64)
    shape = np.sqrt(work / held)
    low, high = 0.0, float((most / shape).max(initial=0))
    if held @ most <= arrays:
        return float((work / most).sum())
    while low < (middle := (low + high) / 2) < high:
        fits = held @ np.clip(middle * shape, 1, most) <= arrays
        low, high = (middle, high) if fits else (low, middle)
    replicas = np.clip(low * shape, 1, most)
    price = 1 / low**2
    return float((work / replicas + price * held * replicas).sum() - price * arrays)
