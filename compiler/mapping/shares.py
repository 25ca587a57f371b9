"""How often each product lies on a chip: copies of its weights on a core, and cores that share it.

The results of a product are made in parts: runs of rows, which on a map may be cut in strips of
columns. Groups of cores take the parts in turn, each with all of the weights; on a core of a
group, copies of the weights take the windows of a part in turn. With R groups for each of S
strips, in c copies each, B runs of b rows and strips of w windows a row, a product of window time
L takes

    ceil(B / R) * (ceil(b * w / c) * L + the work of a part beside the arrays)

and c * R * S times its arrays; where a core starts row blocks one by one, b * w times the starts
of a window in place of ceil(..) * L if that is more. Only these times can be had, so the search is
over them: the smallest time in which all products can be done on the arrays there are (`bounds`
has the limit without parts and cores).

Strips come before turns: a core that makes all rows of a strip gets each row of its input once,
and every row is made by all cores together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heapreplace
from math import ceil

import numpy as np

from .choices import Floats, Ints

MOST_RUNS = 56  # of rows of a product
MOST_PARTS = 168  # of a product: runs times strips
_MOST_STRIPS = 14
_LEAST_WIDTH = 2  # columns of a strip; narrower ones mostly read what others read too


def most_runs(strips: int) -> int:
    """The most runs of rows that results in so many strips are made in."""
    return max(1, min(MOST_RUNS, MOST_PARTS // strips))


@dataclass(frozen=True)
class Share:
    """`groups` of cores that hold a product, each in `copies`.

    There are as many groups as `strips` of columns, or a multiple of that. `load` is the time
    that a core works on it for one input.
    """

    groups: int = 1
    copies: int = 1
    strips: int = 1
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

    def whole_cores(self, held: Footprint, share: Share) -> int:
        """Cores of which a share takes more than half, so that they must be empty before."""
        large = 2 * held.arrays * share.copies > held.cores * self.arrays
        return share.groups * held.cores if large else 0


@dataclass(frozen=True)
class Demand:
    """What a product asks for: `rows` of `windows` windows each.

    `work` is the time of its work beside the arrays: the output stage, what is moved. With
    `columns` the windows of a row can be cut in strips.
    """

    name: str
    footprint: Footprint
    rows: int
    windows: int
    work: float = 0.0
    columns: bool = False

    def time(self, share: Share, fill: int = 0) -> float:
        """Time for all rows, the groups side by side, and for `fill` parts more."""
        turns, copies = np.array([share.groups // share.strips]), np.array([share.copies])
        return float(self._times(share.strips, turns, copies, fill)[0, 0])

    def load(self, share: Share) -> float:
        """Time that a core of a group works for one input."""
        return self.time(share, 0)

    def used(self, share: Share, room: Room) -> int:
        """Arrays that a share takes, with those of its cores that it leaves to nobody."""
        return share.groups * int(self._held(np.array([share.copies]), room)[0])

    def options(self, room: Room, fill: int) -> tuple[Share, ...]:
        """Shares that take ever less time, and as few arrays as each time can be had with."""
        found = [option for strips in self._strips() for option in self._with(strips, room, fill)]
        found.sort(key=lambda option: (option[0], option[1], -option[2].strips))
        kept: list[Share] = []
        least = None
        for _, used, share in found:  # what takes more time must take fewer arrays
            if least is None or used < least:
                kept.append(share)
                least = used
        return tuple(reversed(kept))

    def _strips(self) -> Iterator[int]:
        """Numbers of strips of equal width, but for the last."""
        widths = range(_LEAST_WIDTH, self.windows) if self.columns else ()
        counts = {-(-self.windows // width) for width in widths}
        yield from sorted({1} | {count for count in counts if count <= _MOST_STRIPS})

    def _with(self, strips: int, room: Room, fill: int) -> list[tuple[float, int, Share]]:
        """Time, arrays and share for each number of turns and copies worth looking at.

        Copies come first: a second group is for a second core.
        """
        held = self.footprint
        most = self._most_copies(strips, room)
        turns = np.arange(1, min(self._runs(strips), room.cores // (held.cores * strips)) + 1)
        if not turns.size:
            return []
        copies = np.arange(most // 2 + 1, most + 1) if strips > 1 else np.arange(1, most + 1)
        times = self._times(strips, turns, copies, fill)
        used = turns[:, None] * strips * self._held(copies, room)
        return [
            (time, taken, Share(int(t) * strips, int(c), strips))
            for t, row_times, row_used in zip(turns, times.tolist(), used.tolist(), strict=True)
            for c, time, taken in zip(copies, row_times, row_used, strict=True)
        ]

    def _most_copies(self, strips: int, room: Room) -> int:
        """No more copies than a core can start in the time of a window are of use."""
        held = self.footprint
        most = max(1, room.arrays // held.arrays) if held.cores == 1 else 1
        most = min(most, self._part_windows(strips))
        return min(most, ceil(held.window_time / held.start_time)) if held.start_time else most

    def _run_length(self, strips: int) -> int:
        return -(-self.rows // most_runs(strips))

    def _runs(self, strips: int) -> int:
        return -(-self.rows // self._run_length(strips))

    def _part_windows(self, strips: int) -> int:
        return self._run_length(strips) * -(-self.windows // strips)

    def _times(self, strips: int, turns: Ints, copies: Ints, fill: int) -> Floats:
        """Time for all rows, by turns and copies; a core cannot be faster than its starts."""
        held, windows, runs = self.footprint, self._part_windows(strips), self._runs(strips)
        on_arrays = np.maximum(-(-windows // copies) * held.window_time, windows * held.start_time)
        part: Floats = on_arrays + self.work / (runs * strips)
        return (-(-runs // turns)[:, None] + fill) * part

    def _held(self, copies: Ints, room: Room) -> Ints:
        """Arrays of a group with those that it leaves to nobody.

        Where more than half of a core is taken, hardly anything else goes there.
        """
        held = self.footprint.arrays * copies
        single = self.footprint.cores == 1
        cores = -(-held // room.arrays) if single else np.full_like(held, self.footprint.cores)
        whole = cores * room.arrays
        return np.where(2 * held > whole, whole, held)


def choose_shares(demands: Sequence[Demand], room: Room, fill: int = 0) -> Mapping[str, Share]:
    """The share of each product for the least time of the slowest.

    A product that reads what another makes cannot begin before that has made some parts. So the
    time of `fill` parts counts for each: with it there are more and smaller ones. Arrays that the
    slowest has no use for make others faster. Nothing where the room is too little for one replica
    of each.
    """
    options = [demand.options(room, fill) for demand in demands]
    picked = [0] * len(demands)  # the slowest and smallest: once each
    left = room.total - sum(d.used(o[0], room) for d, o in zip(demands, options, strict=True))
    if left < 0:
        return {}
    slowest = [
        (-d.time(o[0], fill), i) for i, (d, o) in enumerate(zip(demands, options, strict=True))
    ]
    heapify(slowest)
    while slowest:
        _, index = slowest[0]
        demand, choices, at = demands[index], options[index], picked[index]
        more = choices[at + 1] if at + 1 < len(choices) else None
        cost = 0 if more is None else demand.used(more, room) - demand.used(choices[at], room)
        if more is None or cost > left:
            heappop(slowest)
            continue
        left -= cost
        picked[index] = at + 1
        heapreplace(slowest, (-demand.time(more, fill), index))
    return {
        d.name: replace(o[at], load=d.load(o[at]))
        for d, o, at in zip(demands, options, picked, strict=True)
    }
