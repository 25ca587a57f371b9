"""How often each product lies on a chip: copies of its weights on a core, and cores that share it.

The rows of a product's results come in runs. Groups of cores take the runs in turn, each with all
of the weights; on a core of a group, copies of the weights take the windows of a run in turn. With
G groups of c copies, B runs of b rows and W windows in a row a product of window time L takes

    ceil(B / G) * (ceil(b * W / c) * L + the work beside the arrays)

and c * G times its arrays; where a core starts row blocks one by one, b * W times the starts of a
window in place of ceil(..) * L if that is more. Only these times can be had, so the search is over
them: the smallest time in which all products can be done on the arrays there are (`bounds` has the
limit without runs and cores).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace
from math import ceil


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
    """What holding a product once takes: arrays, on so many cores, and the time of a window.

    `start_time` is the time that the starts of a window take on the busiest of the cores, and
    `row_blocks` is in how many row blocks its weights must be cut, whatever the cores.
    """

    arrays: int
    cores: int
    window_time: float
    start_time: float = 0.0
    row_blocks: int = 1


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


@dataclass(frozen=True)
class Demand:
    """What a product asks for: `runs` of rows, each of `windows` windows.

    `work` is the time of a run's work beside the arrays: the output stage, what is moved.
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
        """Time for one run; a core cannot be faster than its starts."""
        held = self.footprint
        on_arrays = -(-self.windows // share.copies) * held.window_time
        return max(on_arrays, self.windows * held.start_time) + self.work

    def load(self, share: Share) -> float:
        """Time that a core of a group works for one input beside its arrays."""
        each = self.work + self.windows * self.footprint.start_time
        return each * self.runs / share.groups

    def used(self, share: Share, room: Room) -> int:
        """Arrays that a share takes, with those of its cores that it leaves to nobody.

        Where more than half of a core is taken, hardly anything else goes there.
        """
        held = self.footprint.arrays * share.copies
        cores = -(-held // room.arrays) if self.footprint.cores == 1 else self.footprint.cores
        whole = cores * room.arrays
        return share.groups * (whole if 2 * held > whole else held)


def choose_shares(demands: Sequence[Demand], room: Room) -> Mapping[str, Share]:
    """The share of each product for the least time of the slowest."""
    options = [_options(demand, room) for demand in demands]
    picked = [0] * len(demands)  # the slowest and smallest: once each
    left = room.total - sum(d.used(o[0], room) for d, o in zip(demands, options, strict=True))
    if left < 0:
        return {demand.name: Share() for demand in demands}
    slowest = [(-d.time(o[0]), i) for i, (d, o) in enumerate(zip(demands, options, strict=True))]
    heapify(slowest)
    while slowest:
        _, index = slowest[0]
        demand, choices, at = demands[index], options[index], picked[index]
        if at + 1 == len(choices):
            break
        cost = demand.used(choices[at + 1], room) - demand.used(choices[at], room)
        if cost > left:
            break
        left -= cost
        picked[index] = at + 1
        heapreplace(slowest, (-demand.time(choices[at + 1]), index))
    return {
        d.name: replace(o[at], load=d.load(o[at]))
        for d, o, at in zip(demands, options, picked, strict=True)
    }


def _options(demand: Demand, room: Room) -> tuple[Share, ...]:
    """Shares that take ever less time, and as few arrays as each time can be had with.

    Copies come first: a second group is for a second core. No more copies than a core can start
    in the time of a window are of use.
    """
    held = demand.footprint
    most = max(1, room.arrays // held.arrays) if held.cores == 1 else 1
    most = min(most, demand.windows)
    if held.start_time:
        most = min(most, ceil(held.window_time / held.start_time))
    found: dict[float, Share] = {}
    for groups in range(1, min(demand.runs, room.cores // demand.footprint.cores) + 1):
        for copies in range(1 if groups == 1 else most // 2 + 1, most + 1):
            share = Share(groups, copies)
            time = demand.time(share)
            if time not in found or demand.used(share, room) < demand.used(found[time], room):
                found[time] = share
    kept: list[Share] = []
    for time in sorted(found):  # what takes more time must take fewer arrays
        if not kept or demand.used(found[time], room) < demand.used(kept[-1], room):
            kept.append(found[time])
    return tuple(reversed(kept))
