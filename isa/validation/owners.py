"""Local memory in rounds: for which input each byte was written last when it is read.

That must be the input that reads it: then each finds what it would find alone. What no round writes
is of the setup, which all inputs share.

Two rounds show it. All rounds write the same bytes in the same order, so what is read was written
last in the same round or in the one before. The first and the last inputs leave operations of
others out and nothing of their own: what is right between many is right for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fields import Space
from ..stream import StreamState
from ..walk import Operation
from .memory import footprint, read_streams

Round = Sequence[tuple[int, Operation]]
# The input that a byte was last written for, from the one that begins in the second round; those
# before it are negative. A lag has eight bits.
Owners = NDArray[np.int16]
_SETUP = 1
_RULE = "what it reads must have been written last for the same input, or before the first lag"


class _Access(NamedTuple):
    """What an operation reads and writes of the owners."""

    lag: int
    reads: tuple[Owners, ...]
    written: Owners | None

    def write(self, input_: int) -> None:
        """Note that what is written is of an input."""
        if self.written is not None:
            self.written[...] = input_


def overwritten(operations: Round) -> Iterator[tuple[Operation, str]]:
    """Operations of a core's round that read what is of another input, and what is wrong."""
    owners: Owners = np.full(local_size(operations), _SETUP, np.int16)
    accesses = [_access(lag, operation, owners) for lag, operation in operations]
    for access in accesses:
        access.write(-access.lag - 1)
    writers = _Writers(operations, len(owners))
    for time, access in enumerate(accesses):
        if not all(_is_of(-access.lag, read) for read in access.reads):
            yield operations[time][1], _problem(operations[time], time, owners, writers)
        access.write(-access.lag)


def _access(lag: int, operation: Operation, owners: Owners) -> _Access:
    reads = tuple(footprint(stream).view(owners) for stream in _reads(operation))
    dst = written(operation)
    return _Access(lag, reads, None if dst is None else footprint(dst).view(owners))


def _reads(operation: Operation) -> Iterator[StreamState]:
    return (one for _, one in read_streams(operation) if one.space is Space.LOCAL)


def written(operation: Operation) -> StreamState | None:
    """The stream in local memory that an operation writes."""
    dst = operation.streams.get("dst")
    return dst if dst is not None and dst.space is Space.LOCAL else None


def local_size(operations: Round) -> int:
    """Bytes of local memory up to the last one that is touched."""
    streams = (stream for _, one in operations for stream in one.streams.values())
    return max((one.extent[1] for one in streams if one.space is Space.LOCAL), default=0)


def _is_of(input_: int, read: Owners) -> bool:
    if (read == input_).all():
        return True
    return bool(((read == input_) | (read == _SETUP)).all())


class _Writers:
    """The operation that wrote each byte last, played as far as problems ask for it.

    Times count the operations of the second round; those of the first are negative.
    """

    def __init__(self, operations: Round, size: int) -> None:
        self._operations = operations
        self._size = size
        self._times: NDArray[np.int32] | None = None
        self._now = -len(operations)

    def last(self, byte: int, time: int) -> Operation:
        """The operation that wrote a byte last before `time`, which never goes back."""
        if self._times is None:
            self._times = np.zeros(self._size, np.int32)
        for now in range(self._now, time):
            dst = written(self._operations[now][1])
            if dst is not None:
                footprint(dst).view(self._times)[...] = now
        self._now = time
        return self._operations[int(self._times[byte])][1]


def _problem(reader: tuple[int, Operation], time: int, owners: Owners, writers: _Writers) -> str:
    lag, operation = reader
    byte = min(_foreign(-lag, stream, owners) for stream in _reads(operation))
    writer = writers.last(byte, time)
    other = _other(int(owners[byte]) + lag)
    since = f"{writer.instruction} at {writer.pc} has written it for {other}"
    return f"it reads byte {byte} of local memory after {since}; {_RULE}"


def _foreign(input_: int, stream: StreamState, owners: Owners) -> int:
    """The first byte of a stream that is of another input, or the first behind all bytes."""
    low, high = stream.extent
    touched = np.zeros(high - low, np.bool_)
    footprint(stream).view(touched, low)[...] = True
    held = owners[low:high]
    foreign = np.flatnonzero(touched & (held != input_) & (held != _SETUP))
    return low + int(foreign[0]) if foreign.size else len(owners)


def _other(behind: int) -> str:
    if abs(behind) == 1:
        return "the next input" if behind > 0 else "the input before"
    return f"the input {abs(behind)} {'after' if behind > 0 else 'before'} its own"
