"""What must have ended before an item begins: what touches the same bytes, if one writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .items import Item, Range

# So many that several wait for are waited for one by one.
_FEW = 3
_COMPARED = 1 << 22  # pairs of ranges at a time


class Node(NamedTuple):
    """An item, by its index, or with no item the end of all that it needs.

    `needs` are numbers of nodes before, which must have ended.
    """

    item: int | None
    needs: Sequence[int]


@dataclass(slots=True, eq=False)
class _Use:
    """Who used bytes [low, high) last: the last writer of just these, and their readers since.

    `meets` are the uses of ranges that have bytes in common with this one, itself among them.
    `sources` are what whoever touches the bytes waits for, until somebody writes to any of them.
    `settler` was written by node `settled_at`, which waits for the writer.
    """

    low: int
    high: int
    writer: int | None = None
    readers: list[int] = field(default_factory=list)
    meets: list[_Use] = field(default_factory=list)
    sources: Sequence[int] | None = None
    settler: _Use | None = None
    settled_at: int = -1


def _uses(items: Iterable[Item]) -> dict[Range, _Use]:
    """The use of every range that items touch, and which of them overlap.

    A program has few of them, because buffers are used again, so all pairs are compared.
    """
    ranges = dict.fromkeys(one for item in items for one in (*item.reads, *item.writes))
    uses = [_Use(*one) for one in ranges]
    lows, highs = np.array(list(ranges), np.int64).reshape(-1, 2).T
    rows = max(1, _COMPARED // max(1, len(uses)))
    for start in range(0, len(uses), rows):
        some = np.s_[start : start + rows, np.newaxis]
        overlap = (lows < highs[some]) & (highs > lows[some])
        edges = np.cumsum(np.count_nonzero(overlap, axis=1)).tolist()
        met = [uses[other] for other in overlap.nonzero()[1].tolist()]
        for use, (first, last) in zip(uses[start:], pairwise([0, *edges]), strict=False):
            use.meets = met[first:last]
    return dict(zip(ranges, uses, strict=True))


class _Nodes:
    """The nodes of a core while they are made.

    What many items wait for together, such as all rows of a tensor that is read as a whole, gets a
    node of its own: n readers of n rows are 2 n needs, and not n squared.
    """

    def __init__(self, uses: Mapping[Range, _Use]) -> None:
        self.made: list[Node] = []
        self._uses = uses

    def add(self, index: int, item: Item) -> None:
        """Add an item behind all that it must wait for."""
        use_of = self._uses.__getitem__
        read, written = list(map(use_of, item.reads)), list(map(use_of, item.writes))
        needed: set[int] = set()
        for use in (*read, *written):
            needed.update(self._sources(use) if use.sources is None else use.sources)
        for use in written:
            for met in use.meets:
                if met.readers:
                    needed.update(self._readers(met))
        self._note(self._new(index, sorted(needed)), read, written)

    def _new(self, item: int | None, needs: Sequence[int]) -> int:
        self.made.append(Node(item, needs))
        return len(self.made) - 1

    def _together(self, nodes: Sequence[int]) -> Sequence[int]:
        """The same ends, as few."""
        return nodes if len(nodes) <= _FEW else [self._new(None, nodes)]

    def _sources(self, use: _Use) -> Sequence[int]:
        """Who has written bytes of a range, but for what something written there waits for."""
        writers: set[int] = set()
        low, high = use.low, use.high
        for met in use.meets:
            if met.writer is None:
                continue
            between = met.settler
            if (
                between is None
                or between.writer != met.settled_at
                or between.low >= high
                or low >= between.high
            ):
                writers.add(met.writer)
        use.sources = self._together(sorted(writers))
        return use.sources

    def _readers(self, use: _Use) -> Sequence[int]:
        if len(use.readers) > _FEW:
            use.readers = list(self._together(use.readers))
        return use.readers

    @staticmethod
    def _note(node: int, read: Iterable[_Use], written: Iterable[_Use]) -> None:
        """Note what an item does. What lies inside bytes that it writes is settled by it."""
        for use in read:
            use.readers.append(node)
        for use in written:
            for met in use.meets:
                met.sources = None
                met.settler, met.settled_at = use, node
                if use.low <= met.low and met.high <= use.high:
                    met.writer = None
                    met.readers.clear()
            use.writer, use.settler = node, None


def nodes(items: Sequence[Item]) -> list[Node]:
    """The items of a core in order, each behind what it waits for."""
    found = _Nodes(_uses(items))
    for index, item in enumerate(items):
        found.add(index, item)
    return found.made
