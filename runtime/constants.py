"""Which bytes of the memories are known before a program runs, and what they hold.

Constants and what is loaded, filled, copied or sent from them do not depend on inputs: tables,
biases and scale words are therefore known at decode time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .memory import (
    GLOBAL,
    Elements,
    Layout,
    Place,
    byte_view,
    element_view,
    touched_bytes,
    used_axes,
)


class KnownBytes:
    """The known content of all memories, as decoding goes through the program."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        sizes = {**layout.local, GLOBAL: layout.global_size}
        self._bytes = {key: np.zeros(size, np.uint8) for key, size in sizes.items()}
        self._known = {key: np.zeros(size, np.bool_) for key, size in sizes.items()}
        self._bytes[GLOBAL][: len(layout.constants)] = layout.constants
        self._known[GLOBAL][: len(layout.constants)] = True

    def forget(self, place: Place) -> None:
        """Mark the bytes of a place as depending on inputs."""
        touched_bytes(self._known[place.memory], place.stream)[...] = False

    def read(self, place: Place) -> Elements | None:
        """Return a copy of the elements, in the shape of all six counts, if all are known."""
        if not touched_bytes(self._known[place.memory], place.stream).all():
            return None
        found = element_view(self._bytes[place.memory], place.stream)
        return found.copy().reshape(place.stream.counts)

    def fill(self, place: Place, value: int) -> None:
        """Record that every element of a place becomes `value`."""
        elements = element_view(self._bytes[place.memory], place.stream)
        elements[...] = np.asarray(value, np.int64).astype(elements.dtype)
        touched_bytes(self._known[place.memory], place.stream)[...] = True

    def copy(self, src: Place, dst: Place) -> None:
        """Record that the elements of `src` are copied to `dst`."""
        if not touched_bytes(self._known[src.memory], src.stream).any():
            self.forget(dst)
            return
        for memory in (self._bytes, self._known):
            _copy_bytes(memory[src.memory], src, memory[dst.memory], dst)


def _copy_bytes(
    src_memory: NDArray[np.generic], src: Place, dst_memory: NDArray[np.generic], dst: Place
) -> None:
    moved = byte_view(src_memory, src.stream).copy()
    counts, _ = used_axes(dst.stream)
    byte_view(dst_memory, dst.stream)[...] = moved.reshape((*counts, dst.stream.element.size))
