"""Cutting fills where places of memory end, so that parts of a buffer are filled when needed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from imcc.isa import Operation, StreamState
from imcc.isa.instructions import Fill

from ...schedule.apart import OwnPlace
from .items import Cut


def fills_cut_at(places: Mapping[int, Sequence[OwnPlace]]) -> Cut:
    """Cut fills at the beginnings of places; all else stays whole."""
    starts = {core: [one.address for one in found] for core, found in places.items()}

    def cut(operation: Operation) -> Iterator[Operation]:
        if not isinstance(operation.instruction, Fill):
            yield operation
            return
        for part in _parts(operation.streams["dst"], starts[operation.core]):
            yield replace(operation, streams={**operation.streams, "dst": part})

    return cut


def _parts(stream: StreamState, starts: Sequence[int]) -> Iterator[StreamState]:
    """Runs of a stream that is one, between the addresses that it passes."""
    size = stream.element.size
    axes = [axis for axis, count in enumerate(stream.counts) if count > 1]
    low, high = stream.extent
    between = starts[bisect_right(starts, low) : bisect_left(starts, high)]
    if len(axes) != 1 or stream.strides[axes[0]] != size or not between:
        yield stream
        return
    for first, behind in pairwise([low, *between, high]):
        counts = list(stream.counts)
        counts[axes[0]] = (behind - first) // size
        yield StreamState(stream.space, stream.element, first, tuple(counts), stream.strides)
