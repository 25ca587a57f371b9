"""Which bytes are still read later on, walking a decoded program backwards."""

from __future__ import annotations

import numpy as np

from .memory import GLOBAL, Layout, Place, touched_bytes


class LiveBytes:
    """The bytes that what comes later reads; everything else may be left unwritten."""

    def __init__(self, layout: Layout) -> None:
        sizes = {**layout.local, GLOBAL: layout.global_size}
        self._live = {key: np.zeros(size, np.bool_) for key, size in sizes.items()}

    def any(self, places: tuple[Place, ...]) -> bool:
        """Tell whether any byte of these places is live."""
        return any(bool(touched_bytes(self._live[p.memory], p.stream).any()) for p in places)

    def kill(self, places: tuple[Place, ...]) -> None:
        """Mark places as overwritten here: what they held before is not read."""
        for place in places:
            touched_bytes(self._live[place.memory], place.stream)[...] = False

    def revive(self, places: tuple[Place, ...]) -> None:
        """Mark places as read here."""
        for place in places:
            touched_bytes(self._live[place.memory], place.stream)[...] = True

    def revive_range(self, start: int, stop: int) -> None:
        """Mark bytes [start, stop) of global memory as read at the end."""
        self._live[GLOBAL][start:stop] = True
