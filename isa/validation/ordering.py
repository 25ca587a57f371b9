"""Accesses of several cores to a global byte must be ordered, or results depend on speed.

Cores are ordered by exchanges and barriers only. What a core does between two of them, others know
all of or nothing: it is one span. Each core has a vector clock: how many spans of every core it
knows to be over. For each byte the spans of the last write and of the last read are kept; an
access is ordered if its core knows of them. (Of several reads in a row only the last is kept.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fields import Space
from ..program import Program
from ..stream import StreamState
from ..walk import Exchange, Operation
from .memory import footprint

Spans = NDArray[np.unsignedinteger[Any]]


class _Span(NamedTuple):
    """What the core with an index does until it meets others, for the time-th time."""

    core: int
    time: int


class GlobalOrder:
    """In which spans each byte of global memory behind the constants was last written and read."""

    def __init__(self, program: Program) -> None:
        self._first = len(program.constants)
        size = program.global_size - self._first
        self._index = {core: index for index, core in enumerate(sorted(program.cores))}
        self._cores = sorted(program.cores)
        self._clocks = np.zeros((len(self._cores), len(self._cores)), np.int32)
        self._at_barrier: list[int] = []
        self._spans = [_Span(0, 0)]  # the first, of bytes that nobody touched, is known to all
        self._current: dict[int, int] = {}  # numbers of the spans that cores are in
        # Few programs have more spans than numbers of 16 bits, and smaller maps are faster.
        self._last: dict[bool, Spans] = {
            writes: np.zeros(size, np.uint16) for writes in (False, True)
        }

    def exchange(self, step: Exchange) -> None:
        """Order what both cores did before the exchange before what both do after it."""
        one, other = (self._clocks[self._index[side.core]] for side in (step.send, step.recv))
        np.maximum(one, other, out=one)
        other[:] = one
        self._end_spans(self._index[step.send.core], self._index[step.recv.core])

    def barrier(self, core: int) -> None:
        """Note that a core is at a barrier; those that follow each other are at the same one."""
        index = self._index[core]
        if index in self._at_barrier:
            self._leave_barrier()
        self._at_barrier.append(index)

    def apply(self, operation: Operation) -> list[str]:
        """Check the global operands of an operation, then note them."""
        if self._at_barrier:
            self._leave_barrier()
        problems: list[str] = []
        first = self._first
        for name, stream in operation.streams.items():
            if stream.base >= first and stream.walk.space is Space.GLOBAL:
                problems += self._access(self._index[operation.core], stream, name == "dst")
        return problems

    def _access(self, core: int, stream: StreamState, writes: bool) -> Iterator[str]:
        used = footprint(stream)
        for earlier in (False, True) if writes else (True,):
            last = used.view(self._last[earlier], self._first)
            if not all(self._knows(core, span) for span in _different(last)):
                yield self._unordered(core, stream, earlier)
        span = self._span(core)
        used.view(self._last[writes], self._first)[...] = span

    def _knows(self, core: int, span: int) -> bool:
        """Whether a core knows that a span is over, or is in it."""
        other, time = self._spans[span]
        return bool(time <= self._clocks[core, other])

    def _span(self, core: int) -> int:
        """The number of the span that a core is in, which begins with its first access."""
        if core not in self._current:
            self._clocks[core, core] += 1
            self._current[core] = len(self._spans)
            self._spans.append(_Span(core, int(self._clocks[core, core])))
            self._make_room()
        return self._current[core]

    def _make_room(self) -> None:
        """Let the maps hold the numbers of all spans."""
        for writes, last in self._last.items():
            if len(self._spans) > np.iinfo(last.dtype).max:
                self._last[writes] = last.astype(np.uint32)

    def _end_spans(self, *cores: int) -> None:
        for core in cores:
            self._current.pop(core, None)

    def _unordered(self, core: int, stream: StreamState, earlier: bool) -> str:
        low, high = (edge - self._first for edge in stream.extent)
        touched = np.zeros(high - low, np.bool_)
        footprint(stream).view(touched, stream.extent[0])[...] = True
        last = self._last[earlier][low:high][touched]
        unordered = [span for span in _different(last) if not self._knows(core, span)]
        others = last[np.isin(last, unordered)]
        verb = "stores" if earlier else "reads"
        return (
            f"core {self._cores[self._spans[int(others[0])].core]} also {verb} some of its "
            f"{len(others)} global bytes; no exchange or barrier orders the two"
        )

    def _leave_barrier(self) -> None:
        joined: NDArray[np.int32] = self._clocks[self._at_barrier].max(axis=0)
        self._clocks[self._at_barrier] = joined
        self._end_spans(*self._at_barrier)
        self._at_barrier = []


def _different(last: Spans) -> list[int]:
    """The different spans among those of some bytes; most often there is one."""
    first = last[(0,) * last.ndim]
    return [int(first)] if (last == first).all() else [int(span) for span in np.unique(last)]
