"""The network on the chip: a mesh with routes along the row and then the column, or a bus."""

from __future__ import annotations

from collections import Counter
from functools import cache

from ..target import Chip, Network

Link = tuple[int, int]
"""From one core to a neighbour."""

BUS: Link = (-1, -1)
"""The one link of all cores, on chips that have a bus instead of a mesh."""


class Mesh:
    """The links of a chip, each with the cycle from which it is free."""

    def __init__(self, chip: Chip) -> None:
        self._cols = chip.mesh_cols
        self._bus = chip.network is Network.BUS
        self._free: dict[Link, int] = {}
        self.busy: Counter[Link] = Counter()
        self.route = cache(self._route)

    def _route(self, core: int, other: int) -> tuple[Link, ...]:
        if self._bus:
            return (BUS,)
        (row, col), (last_row, last_col) = divmod(core, self._cols), divmod(other, self._cols)
        along = range(col, last_col, 1 if last_col > col else -1)
        down = range(row, last_row, 1 if last_row > row else -1)
        stops = [*(row * self._cols + c for c in along), *(r * self._cols + last_col for r in down)]
        return tuple(zip(stops, [*stops[1:], other], strict=True))

    def reserve(self, core: int, other: int, time: int, cycles: int) -> int:
        """Take all links of a route together as soon as they are free; returns the first cycle."""
        route = self.route(core, other)
        start = max([time, *(self._free.get(link, 0) for link in route)])
        for link in route:
            self._free[link] = start + cycles
            self.busy[link] += cycles
        return start
