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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, inf

import numpy as np

from .choices import Floats, Ints
from .flow import Flow
from .runs import LEAST_ROUNDS, STAGED_ROUNDS, most_runs

_MOST_STRIPS = 14
_PRECISION = 0.01  # of the least time
_HALF = 0.5
_COMPANY = 0.15  # of a core, for each group beside others
_LEAST_WIDTH = 2  # columns of a strip; narrower ones mostly read what others read too


@dataclass(frozen=True)
class Share:
    """`groups` of cores that hold a product, each in `copies`.

    There are as many groups as `strips` of columns, or a multiple of that. `load` is the time
    that a core works on it for one input, `part` that for one part. With a `division` it is cut in
    so many ranges of input channels and of outputs, and not in as few parts as fit cores. What
    `pours` fills what others leave. `time` is that of all its parts.
    """

    groups: int = 1
    copies: int = 1
    strips: int = 1
    time: float = 0.0
    load: float = 0.0
    part: float = 0.0
    division: tuple[int, int] | None = None
    pours: bool = False


@dataclass(frozen=True)
class Footprint:
    """What holding a product once takes: arrays, on so many cores, and the time of a window.

    `start_time` is the time that the starts of a window take on the busiest of the cores,
    `port_time` that of its inputs and sums at the port of local memory there, and `row_blocks` is
    in how many row blocks its weights must be cut, whatever the cores.
    """

    arrays: int
    cores: int
    window_time: float
    start_time: float = 0.0
    row_blocks: int = 1
    port_time: float = 0.0


@dataclass(frozen=True)
class Room:
    """`cores` cores of `arrays` arrays each, of which a part is given out.

    A `tight` one counts arrays and times as they are, as if what shares cores always fitted. Each
    group of cores is counted with so many of a core more: a `price` for what it sends and receives.
    No core works on one product for more than a part `most` of the time of the slowest. Where
    arrays work `beside` all else, only they are given out.
    """

    cores: int
    arrays: int
    part: float = 1.0
    tight: bool = False
    price: float = 0.0
    most: float = inf
    beside: bool = False

    @property
    def total(self) -> int:
        """Arrays that are given out."""
        return int(self.cores * self.arrays * self.part)

    def whole_cores(self, held: Footprint, share: Share) -> int:
        """Cores of which a share takes more than half, so that they must be empty before."""
        large = 2 * held.arrays * share.copies > held.cores * self.arrays
        return share.groups * held.cores if large else 0


@dataclass(frozen=True, eq=False)
class Table:
    """The shares that a product can have: their times, arrays, cores and the load of each core.

    A row of `shares` has groups, copies and strips.
    """

    times: Floats
    arrays: Ints
    cores: Ints
    loads: Floats
    shares: Ints

    @property
    def fastest(self) -> float:
        """The least time."""
        return float(self.times.min())

    def taken(self, time: float, room: Room) -> Floats:
        """Cores that each share takes if nothing may take longer than `time`.

        Where a core is busy more than half of it, hardly anything else goes there; what shares a
        core with others wants more of it than its own time.
        """
        busy = self.loads * 0.0 if room.beside else self.loads / time
        if not room.tight:
            busy += _COMPANY
            busy[busy > _HALF] = 1
        cores = self.cores * busy
        taken: Floats = np.maximum(self.arrays / room.arrays, cores) + room.price * self.cores
        taken[(self.times > time) | (self.loads > room.most * time)] = np.inf
        return taken

    def pick(self, time: float, room: Room, like: Share | None = None) -> tuple[Share, float]:
        """The share that takes least, of those with as many strips as another, and what it takes.

        It takes infinitely much where there is none.
        """
        taken = self.taken(time, room)
        if like is not None:
            taken = np.where(self.shares[:, 2] == like.strips, taken, inf)
        best = int(taken.argmin())
        groups, copies, strips = self.shares[best].tolist()
        return Share(groups, copies, strips), float(taken[best])


@dataclass(frozen=True)
class Demand:
    """What a product asks for: `rows` of `windows` windows each.

    `work` is the time of its work beside the arrays. `again` is the time in which rows, and
    columns, come that a part reads beyond its own, if each part had one row and one column, and
    `each` what every part takes whatever its size. With
    `columns` the windows of a row can be cut in strips. Groups take turns with runs of rows, or
    `apart` each makes one run; `finer` runs are as much shorter. Of those that take turns each
    makes at least so many `rounds` of parts.
    """

    name: str
    footprint: Footprint
    rows: int
    windows: int
    work: float = 0.0
    columns: bool = False
    again: tuple[float, float] = (0.0, 0.0)
    each: float = 0.0
    apart: bool = False
    finer: int = 1
    rounds: int = LEAST_ROUNDS

    def time(self, share: Share, fill: int = 0) -> float:
        """Time for all rows, the groups side by side, and for `fill` parts more."""
        turns, copies = np.array([share.groups // share.strips]), np.array([share.copies])
        return float(self._times(share.strips, turns, copies, fill)[0, 0])

    def timed(self, share: Share) -> Share:
        """A share with the times of its cores."""
        time = self.time(share)
        return replace(share, time=time, load=time, part=self.time(share, 1) - time)

    def edges(self, share: Share) -> float:
        """The time in which comes what several groups of a share read of each other."""
        turns = np.array([share.groups // share.strips])
        return float(self._edges(share.strips, turns, self._lengths(share.strips, turns))[0])

    def used(self, share: Share, room: Room) -> int:
        """Arrays that a share takes, with those of its cores that it leaves to nobody."""
        return share.groups * int(self._held(np.array([share.copies]), room)[0])

    def table(self, room: Room, fill: int) -> Table:
        """All shares worth looking at; of those that take the same, more strips come first."""
        found = [self._with(strips, room, fill) for strips in reversed(list(self._strips()))]
        return Table(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _strips(self) -> Iterator[int]:
        """Numbers of strips of equal width, but for the last."""
        least, most = self._narrowest()
        widths = range(least, self.windows) if self.columns else ()
        counts = {-(-self.windows // width) for width in widths}
        yield from sorted({1} | {count for count in counts if count <= most})

    def _narrowest(self) -> tuple[int, int]:
        """The least width of a strip, and the most strips."""
        return _LEAST_WIDTH, _MOST_STRIPS

    def _with(self, strips: int, room: Room, fill: int) -> tuple[Floats, Ints, Ints, Floats, Ints]:
        """The columns of the table for each number of turns and copies."""
        turns = self._turns(strips, room.cores // (self.footprint.cores * strips))
        copies = np.arange(1, self._most_copies(strips, room) + 1)
        times = self._times(strips, turns, copies, fill)
        loads = self._times(strips, turns, copies, 0) if fill else times
        arrays, shares = self._taken(turns * strips, copies, strips, room)
        return times.ravel(), arrays, shares[:, 0] * self.footprint.cores, loads.ravel(), shares

    def _taken(self, groups: Ints, copies: Ints, strips: int, room: Room) -> tuple[Ints, Ints]:
        """The arrays that all numbers of groups and copies take, and these as rows of a table."""
        arrays: Ints = groups[:, None] * self._held(copies, room)
        each = np.broadcast_arrays(groups[:, None], copies, strips)
        return arrays.ravel(), np.stack([one.ravel() for one in each], axis=1)

    def _turns(self, strips: int, most: int) -> Ints:
        """Numbers of groups for each strip that leave every group its rounds of parts."""
        turns = min(max(1, self.rows // (1 if self.apart else self.rounds)), most)
        return np.arange(1, (max(1, turns) if strips == 1 else turns) + 1)

    def _most_copies(self, strips: int, room: Room) -> int:
        """No more copies than a core can start in the time of a window are of use."""
        held = self.footprint
        most = max(1, room.arrays // held.arrays) if held.cores == 1 else 1
        most = min(most, int(self._lengths(strips, np.array([1]))[0]) * -(-self.windows // strips))
        return min(most, ceil(held.window_time / held.start_time)) if held.start_time else most

    def _lengths(self, strips: int, turns: Ints) -> Ints:
        """Rows of a run."""
        if self.apart:
            return -(-self.rows // turns)
        return np.array(
            [
                -(-self.rows // most_runs(strips, int(number), self.finer, self.rounds))
                for number in turns
            ]
        )

    def _times(self, strips: int, turns: Ints, copies: Ints, fill: int) -> Floats:
        """Time for all rows, by turns and copies; a core cannot be faster than its starts."""
        held, lengths = self.footprint, self._lengths(strips, turns)
        windows, runs = lengths * -(-self.windows // strips), -(-self.rows // lengths)
        on_arrays = -(-windows[:, None] // copies) * held.window_time
        starts = windows * held.start_time
        part: Floats = np.maximum(on_arrays, starts[:, None])
        work = ((self.work + self._edges(strips, turns, lengths)) / (runs * strips))[:, None]
        return (-(-runs // turns) + fill)[:, None] * (part + work)

    def _edges(self, strips: int, turns: Ints, lengths: Ints) -> Floats:
        """The time in which comes what several groups read: they take turns, or have strips.

        A core that makes all rows of a strip gets each row once.
        """
        rows, columns = self.again
        across = columns / -(-self.windows // strips) if strips > 1 else 0.0
        edges: Floats = across + np.where(turns > 1, rows / lengths, 0.0)
        return edges

    def _held(self, copies: Ints, room: Room) -> Ints:
        """Arrays of a group with those that it leaves to nobody.

        Where more than half of a core is taken, hardly anything else goes there.
        """
        held = self.footprint.arrays * copies
        if room.tight:
            return held
        single = self.footprint.cores == 1
        cores = -(-held // room.arrays) if single else np.full_like(held, self.footprint.cores)
        whole = cores * room.arrays
        return np.where(2 * held > whole, whole, held)


@dataclass(frozen=True)
class Teams:
    """Products that the same cores may hold (see `teams`), the first of each team first.

    `memory` is the time in ns that the global memory is busy for an input if they do, `alone` if
    each product has cores of its own.
    """

    members: tuple[tuple[str, ...], ...] = ()
    memory: float = 0.0
    alone: float = 0.0


@dataclass(frozen=True)
class Demands:
    """What products ask for, in topological order; `fill` as for `choose_shares`.

    `waits` says for every result what part of all rows that it is made of must be there before its
    first rows can be made, and `flow` of which rows all rows are, when that is asked for.
    """

    products: tuple[Demand, ...]
    fill: int = 0
    waits: Mapping[str, float] = field(default_factory=dict)
    teams: Teams = field(default_factory=Teams)
    flow: Callable[[], Flow] | None = None

    def between(self, first: int, last: int) -> Demands:
        """Those of products [first, last)."""
        return replace(self, products=self.products[first:last])

    def in_stages(self) -> Demands:
        """Those of a network that goes in stages."""
        products = tuple(replace(one, rounds=STAGED_ROUNDS) for one in self.products)
        return replace(self, products=products)

    def shares(self, room: Room) -> Mapping[str, Share]:
        """The best shares, see `choose_shares`."""
        return choose_shares(self.products, room, self.fill)

    def tables(self, room: Room) -> list[Table]:
        """The shares that each product can have."""
        return [demand.table(room, self.fill) for demand in self.products]

    def once(self) -> Mapping[str, Share]:
        """Each product on the chip once."""
        return {demand.name: Share() for demand in self.products}


def choose_shares(demands: Sequence[Demand], room: Room, fill: int = 0) -> Mapping[str, Share]:
    """The share of each product for the least time of the slowest, see `shares_from`."""
    return shares_from([demand.table(room, fill) for demand in demands], demands, room, fill)


def shares_from(
    tables: Sequence[Table], demands: Sequence[Demand], room: Room, fill: int = 0
) -> Mapping[str, Share]:
    """The share of each product, out of its table, for the least time of the slowest.

    A core does one thing after the other, so a group takes a part of it: of its arrays, or of the
    time of the slowest product, whichever is more. The least time is found for which all parts
    together are no more than the cores there are.

    A product that reads what another makes cannot begin before that has made some parts. So the
    time of `fill` parts counts for each: with it there are more and smaller ones. Then products
    are made faster than one that cannot be, as that shortens the way through all of them.

    Nothing where the room is too little for one replica of each.
    """
    time = least_time(tables, room, fill)
    if time is None:
        return {}
    picked = _picked(tables, time, room)
    return {demand.name: demand.timed(share) for demand, share in zip(demands, picked, strict=True)}


def least_time(tables: Sequence[Table], room: Room, fill: int) -> float | None:
    """The least time of the slowest product; None where there is too little room for all."""
    cores = room.cores * room.part
    if _cores(tables, inf, room) > cores:
        return None
    fastest = [table.fastest for table in tables]
    low = high = min(fastest, default=0.0) if fill else max(fastest, default=0.0)
    while _cores(tables, high, room) > cores:
        low, high = high, 2 * high
    while low < high * (1 - _PRECISION):
        middle = (low + high) / 2
        fits = _cores(tables, middle, room) <= cores
        low, high = (low, middle) if fits else (middle, high)
    return high


def _picked(tables: Sequence[Table], time: float, room: Room) -> Iterator[Share]:
    """What each product takes for a time, with the strips of the one before where that has room.

    Cores with the same strip hand it on to each other; of others each reads several.
    """
    left = room.cores * room.part - _cores(tables, time, room)
    before: Share | None = None
    for table in tables:
        within = max(time, table.fastest)
        share, taken = table.pick(within, room)
        like = before if before is not None and before.strips > 1 else None
        same, more = table.pick(within, room, like)
        if more <= taken + left:
            share, left = same, left - (more - taken)
        before = share
        yield share


def _cores(tables: Sequence[Table], time: float, room: Room) -> float:
    return sum(float(table.taken(max(time, table.fastest), room).min()) for table in tables)
