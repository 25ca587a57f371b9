"""How often a product lies on a chip whose cores work on several products at a time.

All else is as in `shares`, but a product is as slow as its arrays or as the rest of what its cores
do for it, whichever is more, and groups take all parts in turn, whatever strip these are of: there
need not be a multiple of the strips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

import numpy as np

from .choices import Floats, Ints
from .flow import Paces
from .shares import Demand, Room, Share

# Groups of which any number is looked at; of more those that are a multiple of the strips.
_ANY = 48
_MOST_STRIPS = 28  # where parts are finer
_KINDS = 4  # of parts: those of the last run, or of the last strip, are smaller


@dataclass(frozen=True)
class Grain:
    """How parts are made: in runs so much `finer` than else.

    If groups of cores are `steady` each keeps to its strips. Then it has most of what a window
    reads from the row before, and programs are shorter by a third to a half; there are less ways to
    share a chip out.
    """

    finer: int = 1
    steady: bool = False


@dataclass(frozen=True)
class Fetch:
    """What a product reads of the global memory, which all cores share: the time for it, in ns.

    What a part of one row, or one column, reads beyond its own is so many `rows` or `columns`.
    """

    time: float = 0.0
    rows: float = 0.0
    columns: float = 0.0

    def again(self, length: int, width: float, *, keeps_rows: bool) -> float:
        """The time for parts of so many rows and columns.

        What groups read that make row after row is there from the row before (`keeps_rows`).
        """
        rows = 1.0 if keeps_rows else 1 + self.rows / length
        return self.time * rows * (1 + self.columns / width)


@dataclass(frozen=True)
class Overlapping(Demand):
    """What a product asks for that has arrays of its own, on which others do not wait.

    For `steady` see `Grain`.
    """

    steady: bool = False
    fetch: Fetch = Fetch()

    def time(self, share: Share, fill: int = 0) -> float:
        """Time for all rows, the groups side by side."""
        return self.timed(share).time

    def timed(self, share: Share) -> Share:
        """A share with the times of its cores."""
        times, load = self._busy(share.strips, share.groups, np.array([share.copies]))
        return replace(share, time=float(times[0]), load=load)

    def _narrowest(self) -> tuple[int, int]:
        """Finer parts are narrower too."""
        return super()._narrowest() if self.finer == 1 else (1, _MOST_STRIPS)

    def paces(self, shares: Ints, times: Floats) -> Paces:
        """How rows come with shares (of groups, copies and strips) that take so long for all."""
        groups, copies, strips = shares.T
        lengths = np.concatenate(
            [
                self._lengths(int(s), np.array([max(1, int(g) // int(s))]))
                for g, s in zip(groups, strips, strict=True)
            ]
        )
        windows = lengths * -(-self.windows // strips)
        one = -(-windows // copies) * self.footprint.window_time + self.each
        one += self.work * lengths / (self.rows * strips)
        return Paces(lengths, -(-strips // groups) * one, times * lengths / self.rows)

    def _with(self, strips: int, room: Room, fill: int) -> tuple[Floats, Ints, Ints, Floats, Ints]:
        """The columns of the table for each number of groups and copies."""
        copies = np.arange(1, self._most_copies(strips, room) + 1)
        groups = np.array(list(self._groups(strips, room)))
        found = [self._busy(strips, int(number), copies) for number in groups]
        times = np.array([one for one, _ in found])
        loads = np.broadcast_to(np.array([load for _, load in found])[:, None], times.shape)
        arrays, shares = self._taken(groups, copies, strips, room)
        return times.ravel(), arrays, shares[:, 0] * self.footprint.cores, loads.ravel(), shares

    def _groups(self, strips: int, room: Room) -> Iterator[int]:
        """Numbers of groups that each have a part to make."""
        most = min(max(1, room.cores // self.footprint.cores), self.rows * strips)
        for number in range(1, most + 1):
            whole = number % strips == 0
            if whole or (strips % number == 0 if self.steady else number <= _ANY):
                yield number

    def _busy(self, strips: int, groups: int, copies: Ints) -> tuple[Floats, float]:
        """The time of the busiest group, by copies, and for how long its cores have other work."""
        held, turns = self.footprint, np.array([max(1, groups // strips)])
        lengths = self._lengths(strips, turns)
        counts, sizes = _parts(self.rows, self.windows, strips, int(lengths[0]), groups)
        windows = int((counts @ sizes).max())
        exchanged = self._edges(strips, np.array([max(1, -(-groups // strips))]), lengths)
        work = (self.work + float(exchanged[0])) * windows / (self.rows * self.windows)
        work += self.each * int(counts.sum(axis=1).max())
        load = work + windows * (held.start_time + held.port_time)
        rounds = counts @ -(-sizes[:, None] // copies)
        least = max(load, self._fetched(strips, groups, int(lengths[0])))
        times: Floats = np.maximum(rounds.max(axis=0) * held.window_time, least)
        return times, load

    def _fetched(self, strips: int, groups: int, length: int) -> float:
        """For how long the global memory has to do with a product."""
        width = -(-self.windows // strips) if strips > 1 else inf
        return self.fetch.again(length, width, keeps_rows=strips % groups == 0)


@lru_cache(maxsize=100_000)
def _parts(rows: int, windows: int, strips: int, length: int, groups: int) -> tuple[Ints, Ints]:
    """How many parts of each kind each group makes, and the windows of a part of each kind."""
    runs, width = -(-rows // length), -(-windows // strips)
    tall, wide = np.full(runs, length), np.full(strips, width)
    tall[-1], wide[-1] = rows - (runs - 1) * length, windows - (strips - 1) * width
    number = np.arange(runs * strips)
    kinds = 2 * (number // strips == runs - 1) + (number % strips == strips - 1)
    counts = np.bincount(number % groups * _KINDS + kinds, minlength=groups * _KINDS)
    sizes = np.array([length * width, length * wide[-1], tall[-1] * width, tall[-1] * wide[-1]])
    return counts.reshape(groups, _KINDS), sizes
