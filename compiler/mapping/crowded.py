"""Ways to deal out a chip that has little more room than for its network once.

Copies of slow products take arrays that are not there. What can be had is the time of cores: most
of them hold matrices that are read once, and have nothing else to do. So

- slow products are cut in ranges of input channels too. Each core starts the row blocks of its own
  channels only, so a product is made faster on the same arrays; partial sums are added on one core.
- products of one window, fully connected layers, are poured into what others leave on all cores,
  and fill none that a slow one could have.

A share takes arrays, the time of cores, and on a bus the time of that: its input comes to each of
its cores. Of the shares that are quick enough a product has the one that takes the least part of
what there is of the three; so slow ones get the arrays that are left, and the others ranges of
channels. Placed are the products with most to do first, each part on the core with least of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod

import numpy as np

from imcc.isa.target import Network, Target

from .choices import Floats, Ints
from .placer import Deal
from .regions import Cutter
from .shares import Demand, Demands, Room, Share, Table

# Of the arrays of a chip, what everything once takes where it is crowded.
_CROWDED = 0.5
# Of the arrays, what is dealt out: less where that does not pack.
_PARTS = (1.0, 0.95, 0.9)
# How much dearer arrays may be than cores and the bus.
_PRICES = (1, 3, 10)
_MOST_RANGES = 8  # of input channels: each but one is a partial sum to be sent and added
_FINER = 2  # how much shorter runs are: what is slow has long ones, and the next waits for them
_PRECISION = 0.01  # of the least time
_LONGEST = 1000.0  # times all products together, as fast as can be; nothing takes so long
_SUM = 4  # bytes of a partial sum


def crowded_deals(
    demands: Demands, cutters: Mapping[str, Cutter], target: Target
) -> Iterator[Deal]:
    """Deals for a crowded chip; none for others.

    None also where converters may ask for lower row blocks than those that arrays have room for.
    """
    room = Room(target.chip.cores, target.core.arrays, tight=True)
    once = sum(demand.footprint.arrays for demand in demands.products)
    if target.adc.bits or not _CROWDED * room.total < once < room.total:
        return
    found = [
        _Options.of(
            _ways(replace(demand, finer=_FINER), cutters[demand.name]),
            room,
            demands.fill,
        )
        for demand in demands.products
    ]
    buses = 1.0 if target.chip.network is Network.BUS else inf
    for part in _PARTS:
        for price in _PRICES:
            chip = _Chip(replace(room, part=part), (room.total - once) / price, buses)
            shares = _shares(demands.products, found, chip)
            if shares:
                order = sorted(shares, key=lambda name: -shares[name].time)
                yield Deal(shares, {}, inf, demands.waits, tuple(order), level=True, finer=_FINER)


@dataclass(frozen=True)
class _Chip:
    """What there is to deal out; `spare` is by how many arrays a share takes the whole chip."""

    room: Room
    spare: float
    buses: float


@dataclass(frozen=True)
class _Way:
    """A way to cut a product, and what it asks for then.

    `sent` is the time in which what its cores exchange passes a link, but for what several groups
    read of each other.
    """

    demand: Demand
    division: tuple[int, int] | None = None
    sent: float = 0.0
    pours: bool = False


@dataclass(frozen=True, eq=False)
class _Options:
    """The shares that a product can have, and which of the ways to cut it each of them has.

    `sent` is the time in which what comes to its cores passes a link.
    """

    ways: tuple[_Way, ...]
    table: Table
    way: Ints
    sent: Floats

    @classmethod
    def of(cls, found: Iterator[_Way], room: Room, fill: int) -> _Options:
        """All shares with all ways."""
        ways = tuple(found)
        tables = [way.demand.table(room, fill) for way in ways]
        names = ("times", "arrays", "cores", "loads", "shares")
        joined = Table(*(np.concatenate([getattr(one, n) for one in tables]) for n in names))
        sent = [
            way.sent + way.demand.footprint.cores * way.demand.edges(Share(*row))
            for way, table in zip(ways, tables, strict=True)
            for row in table.shares.tolist()
        ]
        indices = np.repeat(np.arange(len(ways)), [len(one.times) for one in tables])
        return cls(ways, joined, indices, np.array(sent))

    def best(self, time: float, chip: _Chip) -> int:
        """The row that takes the least part of a chip, of those that are as fast as can be had."""
        table = self.table
        busy = table.cores * table.loads / chip.room.cores + self.sent / chip.buses
        part = table.arrays / chip.spare + busy / time
        return int(np.where(table.times <= max(time, table.fastest), part, inf).argmin())

    def taken(self, row: int) -> Floats:
        """Arrays, time of cores and time of a link that a row takes."""
        table = self.table
        return np.array([table.arrays[row], table.cores[row] * table.loads[row], self.sent[row]])

    def share(self, row: int) -> Share:
        """The share of a row."""
        groups, copies, strips = self.table.shares[row].tolist()
        way = self.ways[int(self.way[row])]
        share = way.demand.timed(Share(groups, copies, strips))
        return replace(share, division=way.division, pours=way.pours)


def _shares(
    demands: Sequence[Demand], found: Sequence[_Options], chip: _Chip
) -> Mapping[str, Share]:
    """The shares with the least time of the slowest; nothing where there is too little room."""
    fastest = [one.table.fastest for one in found]
    low, high = min(fastest), sum(fastest)
    while not _fits(found, high, chip):
        low, high = high, 2 * high
        if high > _LONGEST * sum(fastest):
            return {}
    while low < high * (1 - _PRECISION):
        middle = (low + high) / 2
        low, high = (low, middle) if _fits(found, middle, chip) else (middle, high)
    return {
        demand.name: one.share(one.best(high, chip))
        for demand, one in zip(demands, found, strict=True)
    }


def _fits(found: Sequence[_Options], time: float, chip: _Chip) -> bool:
    """Whether there is room, and no core and no bus is busy for longer than a time."""
    taken = np.sum([one.taken(one.best(time, chip)) for one in found], axis=0)
    there = (chip.room.total, chip.room.cores * time, chip.buses * time)
    return bool((taken <= there).all())


def _ways(demand: Demand, cutter: Cutter) -> Iterator[_Way]:
    """How a product can be cut, and what it asks for then."""
    held, target = demand.footprint, cutter.target
    if cutter.can_pour and demand.rows * demand.windows == 1:
        yield _Way(demand, pours=True)
        return
    into, sums, home = _sent(cutter)
    yield _Way(demand, None, into * held.cores + home * (held.cores > 1))
    for q in range(1, _MOST_RANGES + 1):
        division = cutter.division(q)
        if division is None or division == (1, 1):
            continue
        p, (blocks, strips) = division[1], cutter.counted(*division)
        cut = replace(
            held,
            arrays=q * p * blocks * strips,
            cores=q * p,
            start_time=blocks * target.timing.t_start_ns,
        )
        adds = (q - 1) / p * (_add_time(cutter) + sums)
        asked = replace(demand, footprint=cut, work=demand.work + adds)
        yield _Way(asked, division, into * q * p + sums * (q - 1) + home * (p > 1))


def _sent(cutter: Cutter) -> tuple[float, float, float]:
    """Nanoseconds in which the input of a product passes a link, all partial sums, its result."""
    timing, node = cutter.target.timing, cutter.node
    read, made = node.operands[0].type, node.result.type
    count, result = (
        timing.moved(one.dtype.numpy.itemsize) * prod(one.shape) for one in (read, made)
    )
    each = 1000.0 / timing.clock_mhz / timing.noc_bytes_per_cycle
    return count * each, timing.moved(_SUM) * made.size * each, result * each


def _add_time(cutter: Cutter) -> float:
    """Nanoseconds in which a partial sum is added to each of the results."""
    core, timing = cutter.target.core, cutter.target.timing
    cycles = cutter.node.result.type.size / core.vector_lanes * core.vector_cycles
    return cycles * 1000.0 / timing.clock_mhz
