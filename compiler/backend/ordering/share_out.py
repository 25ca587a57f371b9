"""Memory for inputs that overlap: places of one core share bytes if never needed together.

Times go round: an input needs a place from when it is first used to the end of its last use, and
the next input needs it a period later. Blocks of places, the largest first, lie as low as they can.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Operation, Space, StreamState

from ...schedule.allocate import aligned
from ...schedule.apart import OwnPlace
from .items import CoreItems, local_ranges

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Turn:
    """An item of a core in its round, and for the input of how many rounds ago it is.

    An input begins and ends it at these cycles.
    """

    index: int
    lag: int
    begin: int
    end: int


@dataclass(frozen=True, eq=False)
class Moved:
    """How far the places of a core have moved, by their old addresses, which ascend."""

    starts: Sequence[int]
    deltas: Sequence[int]
    peak: int

    def stream(self, stream: StreamState) -> StreamState:
        """A stream where its bytes are now."""
        if stream.space is not Space.LOCAL:
            return stream
        return stream.moved(self.deltas[bisect_right(self.starts, stream.extent[0]) - 1])

    def operation(self, operation: Operation) -> Operation:
        """An operation whose bytes have moved."""
        streams = {name: self.stream(stream) for name, stream in operation.streams.items()}
        return replace(operation, streams=streams)


def share_out(
    items: CoreItems, turns: Sequence[Turn], places: Sequence[OwnPlace], period: int, limit: int
) -> Moved | None:
    """New addresses of all places on a core; None where `limit` bytes are not enough.

    An input begins every `period` cycles.
    """
    starts = [place.address for place in places]
    first, last = _uses(items, turns, starts)
    constant = np.array([place.constant for place in places], bool)
    used = (last >= 0) | constant
    first[constant], last[constant] = 0, period
    if (last - first > period)[used].any():
        return None
    blocks: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        if used[number]:
            blocks.setdefault(place.block, []).append(number)
    memory = _Memory(int(used.sum()), period)
    deltas = dict.fromkeys((place.block for place in places), 0)
    sized = {b: places[found[-1]].end - b for b, found in blocks.items()}
    for block in sorted(blocks, key=lambda block: (-sized[block], block)):
        parts = np.array(
            [(places[n].address - block, aligned(places[n].size)) for n in blocks[block]]
        )
        times = np.stack([first[blocks[block]], last[blocks[block]]], axis=1)
        base = memory.place(parts, times)
        if base + sized[block] > limit:
            return None
        deltas[block] = base - block
    return Moved(starts, [deltas[place.block] for place in places], memory.peak)


def _uses(
    items: CoreItems, turns: Sequence[Turn], starts: Sequence[int]
) -> tuple[Integers, Integers]:
    """When an input uses each place first and last; -1 for what it does not use."""
    first = np.full(len(starts), np.iinfo(np.int64).max)
    last = np.full(len(starts), -1)
    for turn in turns:
        for low, high in local_ranges(items.items[turn.index]):
            begin, end = bisect_right(starts, low) - 1, bisect_left(starts, high)
            np.minimum(first[begin:end], turn.begin, out=first[begin:end])
            np.maximum(last[begin:end], max(turn.end, turn.begin + 1), out=last[begin:end])
    return first, last


class _Memory:
    """What is placed so far: addresses, ends, first and last times, one row each."""

    def __init__(self, most: int, period: int) -> None:
        self._columns = np.zeros((4, most), np.int64)
        self._count = 0
        self._period = period
        self.peak = 0

    def place(self, parts: Integers, times: Integers) -> int:
        """The lowest base for parts, of offset and size, that are needed from and to a time."""
        base = self._lowest(parts, times)
        count = len(parts)
        new = self._columns[:, self._count : self._count + count]
        new[0], new[1] = base + parts[:, 0], base + parts[:, 0] + parts[:, 1]
        new[2], new[3] = times[:, 0], times[:, 1]
        self._count += count
        self.peak = max(self.peak, int(new[1].max()))
        return base

    def _lowest(self, parts: Integers, times: Integers) -> int:
        """Bases between those at which a part would meet what is needed at its times."""
        starts, stops, first, last = self._columns[:, : self._count]
        lows, highs = [], []
        for (offset, size), (begin, end) in zip(parts, times, strict=True):
            meets = (first - begin) % self._period < end - begin
            meets |= (begin - first) % self._period < last - first
            lows.append(starts[meets] - offset - size)
            highs.append(stops[meets] - offset)
        low, high = np.concatenate(lows), np.concatenate(highs)
        order = np.argsort(low)
        free = np.maximum.accumulate(np.concatenate([[0], high[order]]))
        fits = free[:-1] <= low[order]
        index = int(fits.argmax()) if fits.any() else -1
        return int(free[index])
