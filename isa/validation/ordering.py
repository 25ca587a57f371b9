"""Accesses of several cores to a global byte must be ordered, or results depend on speed.

Cores are ordered by exchanges and barriers only. Each core has a vector clock: how many accesses
of every core it knows to be over. For each byte the last write and the last read are kept; an
access is ordered if its core knows of them. (Of several reads in a row only the last is kept.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..fields import Space
from ..program import Program
from ..stream import StreamState
from ..walk import Exchange, Operation
from .memory import footprint


class GlobalOrder:
    """Which core last wrote and read each byte of global memory behind the constants."""

    def __init__(self, program: Program) -> None:
        self._first = len(program.constants)
        size = program.global_size - self._first
        self._index = {core: index for index, core in enumerate(sorted(program.cores))}
        self._cores = sorted(program.cores)
        self._clocks = np.zeros((len(self._cores), len(self._cores)), np.int32)
        self._at_barrier: list[int] = []
        self._core = {writes: np.zeros(size, np.int32) for writes in (False, True)}
        self._time = {writes: np.zeros(size, np.int32) for writes in (False, True)}

    def exchange(self, step: Exchange) -> None:
        """Order what both cores did before the exchange before what both do after it."""
        one, other = (self._clocks[self._index[side.core]] for side in (step.send, step.recv))
        np.maximum(one, other, out=one)
        other[:] = one

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
        clock, used = self._clocks[core], footprint(stream)
        for earlier in (False, True) if writes else (True,):
            other = used.view(self._core[earlier], self._first)
            time = used.view(self._time[earlier], self._first)
            if (clock.take(other) < time).any():
                yield self._unordered(core, stream, earlier)
        clock[core] += 1
        used.view(self._core[writes], self._first)[...] = core
        used.view(self._time[writes], self._first)[...] = clock[core]

    def _unordered(self, core: int, stream: StreamState, earlier: bool) -> str:
        low, high = (edge - self._first for edge in stream.extent)
        touched = np.zeros(high - low, np.bool_)
        footprint(stream).view(touched, stream.extent[0])[...] = True
        other = self._core[earlier][low:high][touched]
        unordered = self._clocks[core][other] < self._time[earlier][low:high][touched]
        verb = "stores" if earlier else "reads"
        return (
            f"core {self._cores[int(other[unordered][0])]} also {verb} some of its "
            f"{int(unordered.sum())} global bytes; no exchange or barrier orders the two"
        )

    def _leave_barrier(self) -> None:
        joined: NDArray[np.int32] = self._clocks[self._at_barrier].max(axis=0)
        self._clocks[self._at_barrier] = joined
        self._at_barrier = []
