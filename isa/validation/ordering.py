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
from ..walk import Exchange, Operation, StreamState
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
        self._join([self._index[step.send.core], self._index[step.recv.core]])

    def barrier(self, core: int) -> None:
        """Note that a core is at a barrier; those that follow each other are at the same one."""
        index = self._index[core]
        if index in self._at_barrier:
            self._leave_barrier()
        self._at_barrier.append(index)

    def apply(self, operation: Operation) -> Iterator[str]:
        """Check the global operands of an operation, then note them."""
        self._leave_barrier()
        for name, stream in operation.streams.items():
            if stream.space is Space.GLOBAL and stream.base >= self._first:
                yield from self._access(self._index[operation.core], stream, name == "dst")

    def _access(self, core: int, stream: StreamState, writes: bool) -> Iterator[str]:
        clock = self._clocks[core]
        low, high = (edge - self._first for edge in stream.extent)
        touched = np.zeros(high - low, np.bool_)
        footprint(stream).view(touched, stream.extent[0])[...] = True
        for earlier in (False, True) if writes else (True,):
            other = self._core[earlier][low:high][touched]
            unordered = clock[other] < self._time[earlier][low:high][touched]
            if unordered.any():
                verb = "stores" if earlier else "reads"
                yield (
                    f"core {self._cores[int(other[unordered][0])]} also {verb} some of its "
                    f"{int(unordered.sum())} global bytes; no exchange or barrier orders the two"
                )
        clock[core] += 1
        self._core[writes][low:high][touched] = core
        self._time[writes][low:high][touched] = clock[core]

    def _leave_barrier(self) -> None:
        if self._at_barrier:
            self._join(self._at_barrier)
            self._at_barrier = []

    def _join(self, cores: list[int]) -> None:
        joined: NDArray[np.int32] = self._clocks[cores].max(axis=0)
        self._clocks[cores] = joined
