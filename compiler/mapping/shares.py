"""How often each product lies on a chip: copies of its weights on a core, and cores that share it.

The rows of a product's results come in runs. Groups of cores take the runs in turn, each with all
of the weights; on a core of a group, copies of the weights take the windows of a run in turn. With
G groups of c copies, B runs of b rows and W windows in a row a product of window time L takes

    ceil(B / G) * ceil(b * W / c) * L

and c * G times its arrays. Only these times can be had, so the search is over them: the smallest
time in which all products can be done on the arrays there are (`bounds` has the limit without
runs and cores). What arrays are left go where a run takes longest, which shortens the wait of the
layers behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace


@dataclass(frozen=True)
class Share:
    """`groups` of cores that hold a product, each in `copies`.

    `load` is the time that a core works on it for one input beside its arrays.
    """

    groups: int = 1
    copies: int = 1
    load: float = 0.0


@dataclass(frozen=True)
class Footprint:
    """What holding a product once takes: arrays, on so many cores, and the time of a window."""

    arrays: int
    cores: int
    window_time: float


@dataclass(frozen=True)
class Demand:
    """What a product asks for: `runs` of rows, each of `windows` windows.

    `work` is the time of its work beside the arrays: the output stage, what is moved.
    """

    name: str
    footprint: Footprint
    runs: int
    windows: int
    work: float = 0.0

    def time(self, share: Share) -> float:
        """Time for all runs, the groups side by side."""
        return -(-self.runs // share.groups) * self.run_time(share)

    def run_time(self, share: Share) -> float:
        """Time for one run."""
        return -(-self.windows // share.copies) * self.footprint.window_time

    def used(self, share: Share) -> int:
        """Arrays that a share takes."""
        return self.footprint.arrays * share.groups * share.copies


@dataclass(frozen=True)
class Room:
    """`cores` cores of `arrays` arrays each, of which a part is given out."""

    cores: int
    arrays: int
    part: float = 1.0

    @property
    def total(self) -> int:
        """Arrays that are given out."""
        return int(self.cores * self.arrays * self.part)


def choose_shares(demands: Sequence[Demand], room: Room) -> Mapping[str, Share]:
    """The share of each product for the least time of the slowest."""
    options = [tuple(_options(demand, room)) for demand in demands]
    picked = [0] * len(demands)  # the slowest and smallest: once each
    left = room.total - sum(d.used(o[0]) for d, o in zip(demands, options, strict=True))
    if left < 0:
        return {demand.name: Share() for demand in demands}
    slowest = [(-d.time(o[0]), i) for i, (d, o) in enumerate(zip(demands, options, strict=True))]
    heapify(slowest)
    while slowest:
        _, index = slowest[0]
        demand, choices, at = demands[index], options[index], picked[index]
        if at + 1 == len(choices):
            break
        cost = demand.used(choices[at + 1]) - demand.used(choices[at])
        if cost > left:
            break
        left -= cost
        picked[index] = at + 1
        heapreplace(slowest, (-demand.time(choices[at + 1]), index))
    return {
        d.name: replace(o[at], load=d.work / o[at].groups)
        for d, o, at in zip(demands, options, picked, strict=True)
    }


def _options(demand: Demand, room: Room) -> Iterator[Share]:
    """Shares that take ever less time, and as few arrays as each time can be had with."""
    most = max(1, room.arrays // demand.footprint.arrays) if demand.footprint.cores == 1 else 1
    found: dict[float, Share] = {}
    for groups in range(1, min(demand.runs, room.cores // demand.footprint.cores) + 1):
        for copies in range(1, min(most, demand.windows) + 1):
            share = Share(groups, copies)
            time = demand.time(share)
            if time not in found or demand.used(share) < demand.used(found[time]):
                found[time] = share
    least = None
    for time in sorted(found, reverse=True):
        share = found[time]
        if least is None or demand.used(share) >= least:
            least = demand.used(share)
            yield share
