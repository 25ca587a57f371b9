"""Which core gets which piece of which product, where arrays of a core work side by side.

A piece has arrays of its own, which must fit, and makes work for the rest of its core, of which no
core should have much more than others: what waits for a busy port or vector unit holds up all that
is behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from imcc.isa.target import Target

from .choices import Floats, Ints
from .regions import Cutter
from .shares import Share

# What takes a smaller part of the arrays of a core finds room wherever it is.
_SMALL = 4
# Of the busiest core's time, what a change must save.
_WORTH = 1e-6


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of products, all of one behind each other: their arrays, and their work in ns."""

    products: tuple[str, ...]
    arrays: Ints
    loads: Floats

    @classmethod
    def of(
        cls, shares: Mapping[str, Share], cutters: Mapping[str, Cutter], target: Target
    ) -> Pieces:
        """The pieces of products that are dealt out, but for those that fill what is left."""
        products: list[str] = []
        arrays: list[int] = []
        for name, share in shares.items():
            if share.pours:
                continue
            cutter = cutters[name]
            parts = cutter.whole() or cutter.pieces()
            each = [len(part.cut.shapes) * share.copies for part in parts] * share.groups
            products += [name] * len(each)
            arrays += [min(count, target.core.arrays) for count in each]
        loads = np.array([shares[name].load for name in products])
        return cls(tuple(products), np.array(arrays), loads)


@dataclass(frozen=True, eq=False)
class Packing:
    """The core of each piece, by product; `busiest` is the time of the core with most work."""

    cores: Mapping[str, tuple[int, ...]]
    busiest: float


def packed(pieces: Pieces, target: Target) -> Packing | None:
    """Pack pieces, large ones first, and level the work of cores; None where they do not fit."""
    cores = _fitted(pieces, target)
    if cores is None:
        return None
    levelled = _Level(pieces, cores, target)
    levelled.run()
    found: dict[str, list[int]] = {}
    for name, core in zip(pieces.products, levelled.cores.tolist(), strict=True):
        found.setdefault(name, []).append(core)
    return Packing({name: tuple(one) for name, one in found.items()}, float(levelled.loads.max()))


def _fitted(pieces: Pieces, target: Target) -> Ints | None:
    """A core for each piece: large ones where it gets fullest, others where least is to do."""
    most = target.core.arrays
    free = np.full(target.chip.cores, most)
    loads = np.zeros(target.chip.cores)
    found = np.zeros(len(pieces.arrays), np.int64)
    for index in np.lexsort((-pieces.loads, -pieces.arrays)).tolist():
        arrays = int(pieces.arrays[index])
        room = np.flatnonzero(free >= arrays)
        if not len(room):
            return None
        small = _SMALL * arrays <= most
        order = np.lexsort((loads[room], 0 * room if small else free[room]))
        core = room[order[0]]
        found[index] = core
        free[core] -= arrays
        loads[core] += pieces.loads[index]
    return found


class _Level:
    """Moves and swaps of pieces until the busiest core has nothing to give away."""

    def __init__(self, pieces: Pieces, cores: Ints, target: Target) -> None:
        self.cores = cores
        self._arrays, self._work = pieces.arrays, pieces.loads
        count = target.chip.cores
        self.loads = np.bincount(cores, pieces.loads, count)
        self._free = target.core.arrays - np.bincount(cores, pieces.arrays, count).astype(np.int64)

    def run(self) -> None:
        """Relieve the busiest core as long as another can."""
        while self._relieve(int(self.loads.argmax())):
            pass

    def _relieve(self, busiest: int) -> bool:
        best = self.loads[busiest] * (1 - _WORTH)
        change: tuple[int, int, int] | None = None
        for piece in np.flatnonzero(self.cores == busiest).tolist():
            for other, core, after in (self._move(piece), self._swap(piece, busiest)):
                if after < best:
                    best, change = after, (piece, other, core)
        if change is None:
            return False
        piece, other, core = change
        self._put(piece, core)
        if other >= 0:
            self._put(other, busiest)
        return True

    def _move(self, piece: int) -> tuple[int, int, float]:
        """The core that is least busy with a piece, and its time or what is left behind."""
        left = self.loads[self.cores[piece]] - self._work[piece]
        after = np.where(self._free >= self._arrays[piece], self.loads + self._work[piece], np.inf)
        core = int(after.argmin())
        return -1, core, max(left, float(after[core]))

    def _swap(self, piece: int, busiest: int) -> tuple[int, int, float]:
        """The piece to have instead, and the time of both cores then."""
        more = self._work - self._work[piece]
        room = self._arrays - self._arrays[piece]
        fits = (self._free[self.cores] >= -room) & (self._free[busiest] >= room)
        after = np.maximum(self.loads[busiest] + more, self.loads[self.cores] - more)
        after = np.where(fits & (self.cores != busiest), after, np.inf)
        other = int(after.argmin())
        return other, int(self.cores[other]), float(after[other])

    def _put(self, piece: int, core: int) -> None:
        old = self.cores[piece]
        self._free[old] += self._arrays[piece]
        self.loads[old] -= self._work[piece]
        self.cores[piece] = core
        self._free[core] -= self._arrays[piece]
        self.loads[core] += self._work[piece]
