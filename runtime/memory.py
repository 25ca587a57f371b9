"""The memories of a chip for a batch of inputs, and streams as strided views of them.

Every local memory and all global memory above the constants exists once an input: an array of
bytes [batch, bytes]. A stream is a view [batch, *counts] of such an array, with the axes of
count 1 left out; nothing is copied. Constants exist once: their views repeat along the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import ElementType, Space
from imcc.isa.program import Program
from imcc.isa.stream import StreamState

from .errors import MachineError

Bytes = NDArray[np.uint8]
Elements = NDArray[Any]

GLOBAL = -1  # the key of global memory where a core number names a local one
_ALIGNMENT = 64

DTYPES: Mapping[ElementType, np.dtype[Any]] = {
    ElementType.U8: np.dtype("<u1"),
    ElementType.I8: np.dtype("<i1"),
    ElementType.U16: np.dtype("<u2"),
    ElementType.I16: np.dtype("<i2"),
    ElementType.I32: np.dtype("<i4"),
    ElementType.U32: np.dtype("<u4"),
}


@dataclass(frozen=True)
class Place:
    """A stream in the memory of one core (or in global memory, whatever the core)."""

    core: int
    stream: StreamState

    @property
    def memory(self) -> int:
        """The core whose local memory it is, or `GLOBAL`."""
        return GLOBAL if self.stream.space is Space.GLOBAL else self.core

    def overlaps(self, other: Place) -> bool:
        """Tell whether the extents of two places share bytes."""
        low, high = self.stream.extent
        other_low, other_high = other.stream.extent
        return self.memory == other.memory and low < other_high and other_low < high


@dataclass(frozen=True)
class Layout:
    """How large the memories are: bytes used of each local memory, and global memory."""

    local: Mapping[int, int]
    constants: Bytes
    global_size: int

    @property
    def global_base(self) -> int:
        """Address of the first byte held once an input (rounded down to keep alignment)."""
        return len(self.constants) // _ALIGNMENT * _ALIGNMENT

    def is_constant(self, stream: StreamState) -> bool:
        """Tell whether a stream lies in constant memory."""
        return stream.space is Space.GLOBAL and stream.extent[1] <= len(self.constants)

    def check(self, place: Place, capacity: int) -> str | None:
        """Return what is wrong with the extent of a place, if anything."""
        low, high = place.stream.extent
        size = self.global_size if place.memory == GLOBAL else capacity
        name = "global memory" if place.memory == GLOBAL else "local memory"
        if low < 0 or high > size:
            return f"bytes {low}..{high - 1} lie outside {name} (0..{size - 1})"
        if place.memory == GLOBAL and low < len(self.constants) < high:
            last = len(self.constants) - 1
            return f"bytes {low}..{high - 1} lie partly in the constants (0..{last})"
        return None


def layout_of(program: Program, places: Iterable[Place]) -> Layout:
    """Return the layout that holds all `places` of a program."""
    local = dict.fromkeys(program.cores, 0)
    for place in places:
        if place.memory != GLOBAL:
            local[place.core] = max(local[place.core], place.stream.extent[1])
    sizes = {core: _round_up(size) for core, size in local.items()}
    return Layout(sizes, np.frombuffer(program.constants, np.uint8), program.global_size)


class Memory:
    """All memories for `batch` inputs."""

    def __init__(self, layout: Layout, batch: int) -> None:
        self.layout = layout
        self.batch = batch
        self.local = {
            core: np.zeros((batch, size), np.uint8) for core, size in layout.local.items()
        }
        size = _round_up(layout.global_size - layout.global_base)
        self.globals_ = np.zeros((batch, size), np.uint8)

    def view(self, place: Place) -> Elements:
        """Return the elements of a place as a view [batch, *counts], count-1 axes left out."""
        stream = place.stream
        if self.layout.is_constant(stream):
            one = element_view(self.layout.constants, stream)
            return np.broadcast_to(one, (self.batch, *one.shape))
        rows = self.globals_ if place.memory == GLOBAL else self.local[place.core]
        base = stream.base - (self.layout.global_base if place.memory == GLOBAL else 0)
        counts, strides = used_axes(stream)
        return np.ndarray(
            (self.batch, *counts),
            DTYPES[stream.element],
            buffer=rows.data,
            offset=base,
            strides=(rows.strides[0], *strides),
        )


def used_axes(stream: StreamState) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return counts and strides without the axes of count 1."""
    pairs = [(c, s) for c, s in zip(stream.counts, stream.strides, strict=True) if c != 1]
    return tuple(c for c, _ in pairs), tuple(s for _, s in pairs)


def element_view(memory: Bytes, stream: StreamState) -> Elements:
    """Return the elements of a stream in one flat memory as a view [*counts]."""
    counts, strides = used_axes(stream)
    dtype = DTYPES[stream.element]
    return np.ndarray(counts, dtype, buffer=memory.data, offset=stream.base, strides=strides)


def byte_view(memory: NDArray[Any], stream: StreamState) -> NDArray[Any]:
    """Return the bytes of a stream in one flat byte-sized memory as a view [*counts, size]."""
    counts, strides = used_axes(stream)
    return np.ndarray(
        (*counts, stream.element.size),
        memory.dtype,
        buffer=memory.data,
        offset=stream.base,
        strides=(*strides, 1),
    )


def touched_bytes(memory: NDArray[Any], stream: StreamState) -> NDArray[Any]:
    """Return the bytes of a stream as `byte_view` does, axes that repeat elements left out."""
    counts = tuple(c if s else 1 for c, s in zip(stream.counts, stream.strides, strict=True))
    return byte_view(memory, stream.along(counts, stream.strides))


def inner_split(stream: StreamState, inner: int) -> tuple[int, int]:
    """Return how many elements lie in the axes before the last `inner` ones, and in those."""
    if not 0 <= inner <= len(stream.counts):
        raise MachineError(f"inner is {inner}; a stream has {len(stream.counts)} axes")
    split = len(stream.counts) - inner
    outer_count = int(np.prod(stream.counts[:split], dtype=np.int64))
    return outer_count, int(np.prod(stream.counts[split:], dtype=np.int64))


def _round_up(size: int) -> int:
    return max(-(-size // _ALIGNMENT) * _ALIGNMENT, _ALIGNMENT)
