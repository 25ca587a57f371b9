"""Definite initialisation, byte by byte: what is read must have been written before.

A stream touches a set of bytes; `footprint` gives it in as few axes as possible, so that
overlapping windows cost no more than the bytes that they cover.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..fields import Role, Space
from ..instruction import Instruction
from ..instructions import Copy, Dot, Mvm
from ..program import Binding, Program
from ..stream import StreamState, Walk
from ..walk import Operation
from .operands import RULES

Bitmap = NDArray[np.bool_]
Kept = TypeVar("Kept", bound=np.generic)

# A stream of stride 0 takes no memory however long it is, but time.
MAX_ELEMENTS = 1 << 26
# A `dot` walks its operands once for each product, a fraction of the time of other elements.
MAX_PRODUCTS = 1 << 34


class Footprint(NamedTuple):
    """Runs of `run` bytes from `base`, repeated along (count, stride) axes, strides positive."""

    base: int
    run: int
    axes: tuple[tuple[int, int], ...]

    def view(self, memory: NDArray[Kept], origin: int = 0) -> NDArray[Kept]:
        """What is kept of the bytes, in a map with one item a byte that begins at `origin`."""
        if not self.axes:
            return memory[self.base - origin : self.base - origin + self.run]
        counts = tuple(count for count, _ in self.axes)
        each = memory.itemsize
        return np.ndarray(
            (*counts, self.run),
            memory.dtype,
            buffer=memory.data,
            offset=(self.base - origin) * each,
            strides=(*(stride * each for _, stride in self.axes), each),
        )


def footprint(stream: StreamState) -> Footprint:
    """Return the set of bytes that a stream touches."""
    walk, base = stream
    return Footprint(base + walk.low, *_runs(walk))


@lru_cache(1 << 16)
def _runs(walk: Walk) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The bytes of a run, and the axes along which it is repeated."""
    run = walk.element.size
    steps = sorted(
        (abs(stride), count)
        for count, stride in zip(walk.counts, walk.strides, strict=True)
        if count > 1 and stride
    )
    axes: list[tuple[int, int]] = []
    for stride, count in steps:
        if not axes and stride <= run:
            run += (count - 1) * stride
        elif axes and stride % axes[-1][1] == 0 and stride <= axes[-1][0] * axes[-1][1]:
            inner_count, inner_stride = axes[-1]
            axes[-1] = (inner_count + (count - 1) * stride // inner_stride, inner_stride)
        else:
            axes.append((count, stride))
    return run, tuple(reversed(axes))


def read_streams(operation: Operation) -> Iterator[tuple[str, StreamState]]:
    """The streams that an operation reads, by name."""
    instruction = operation.instruction
    reads_dst = isinstance(instruction, Mvm) and instruction.accumulate
    for name, stream in operation.streams.items():
        if name != "dst" or reads_dst:
            yield name, stream


class _Written:
    """Which bytes of a memory have been written, from byte `first` on."""

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.flags: Bitmap = np.zeros(size, np.bool_)

    def holds(self, stream: StreamState) -> bool:
        """Whether all bytes of a stream have been written."""
        walk, start = stream.walk, stream.base - self.first
        # Bytes are searched in a fraction of the time that it takes to call `all`.
        if 0 not in self.flags[start + walk.low : start + walk.high].tobytes():
            return True
        return bool(footprint(stream).view(self.flags, self.first).all())

    def add(self, stream: StreamState) -> None:
        """Note that a stream has been written."""
        footprint(stream).view(self.flags, self.first)[...] = True

    def missing(self, stream: StreamState) -> tuple[int, int]:
        """How many bytes of a stream have not been written, and the first of them."""
        low, high = stream.extent
        touched = np.zeros(high - low, np.bool_)
        footprint(stream).view(touched, low)[...] = True
        missing = np.flatnonzero(touched & ~self.flags[low - self.first : high - self.first])
        return len(missing), low + int(missing[0])


class Memories:
    """Which bytes of each memory have been written."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants = len(program.constants)
        self._local_bytes = program.target.core.local_memory_bytes
        self._local = {core: _Written(0, self._local_bytes) for core in program.cores}
        self._global = _Written(self._constants, program.global_size - self._constants)
        for binding in program.inputs:
            self._flags_of(binding)[...] = True

    def apply(self, operation: Operation) -> list[str]:
        """Check the streams of an operation, then mark what it writes."""
        streams, core = operation.streams, operation.core
        problems = [
            message
            for name, stream in streams.items()
            if not self._is_plain(name, stream)
            for message in self._problems(operation.instruction, name, stream)
        ]
        if problems:
            return problems
        dst = streams.get("dst")
        if dst is not None and len(streams) > 1:
            problems += self._overlaps(operation, dst)
        for name, stream in read_streams(operation):
            if not self._is_written(core, stream):
                problems.append(self._uninitialised(core, name, stream))
        if dst is not None:
            self._memory(core, dst).add(dst)
        return problems

    def forget(self, core: int) -> None:
        """Let a core begin a phase: nothing in its local memory is of use any more."""
        self._local[core].flags[...] = False

    def missing_outputs(self) -> Iterator[str]:
        """Report outputs with bytes that no store has written."""
        for binding in self._program.outputs:
            stored = self._flags_of(binding)
            if not stored.all():
                first = binding.address + int(np.argmin(stored))
                missing = binding.size - int(stored.sum())
                yield (
                    f"output {binding.name!r}: {missing} of {binding.size} bytes are never "
                    f"stored, the first at global byte {first}"
                )

    def _flags_of(self, binding: Binding) -> Bitmap:
        start = binding.address - self._constants
        return self._global.flags[start : start + binding.size]

    def _memory(self, core: int, stream: StreamState) -> _Written:
        return self._global if stream.space is Space.GLOBAL else self._local[core]

    def _is_plain(self, name: str, stream: StreamState) -> bool:
        """Whether nothing can be wrong with a stream, as with nearly all: a quick answer.

        It is small, and is in local memory or reads constants.
        """
        walk, base = stream
        if walk.space is Space.GLOBAL and name == "dst":
            return False
        size = self._local_bytes if walk.space is Space.LOCAL else self._constants
        lies = base + walk.low >= 0 and base + walk.high <= size
        return (
            lies and walk.count <= MAX_ELEMENTS and (walk.element.size == 1 or _is_aligned(stream))
        )

    def _is_constant(self, stream: StreamState) -> bool:
        walk, base = stream
        if walk.space is not Space.GLOBAL:
            return False
        return base + walk.low >= 0 and base + walk.high <= self._constants

    def _problems(self, instruction: Instruction, name: str, stream: StreamState) -> Iterator[str]:
        yield from _length(instruction, name, stream)
        writes = name == "dst" and bool(instruction.streams(Role.WRITE))
        yield from self._placement(name, stream, writes)

    def _placement(self, name: str, stream: StreamState, writes: bool) -> Iterator[str]:
        low, high = stream.extent
        is_global = stream.space is Space.GLOBAL
        size = self._program.global_size if is_global else self._local_bytes
        space = "global" if is_global else "local"
        if low < 0 or high > size:
            yield f"{name} touches bytes {low}..{high - 1} of {space} memory (0..{size - 1})"
        elif is_global and low < self._constants < high:
            yield f"{name} touches bytes {low}..{high - 1}, across the end of the constants at " + (
                f"{self._constants}"
            )
        elif is_global and writes and low < self._constants:
            yield f"{name} writes constants: bytes {low}..{high - 1} of {self._constants}"
        if not _is_aligned(stream):
            element, unit = stream.element.name.lower(), stream.element.size
            yield f"{name}: base {stream.base} and strides must be multiples of {unit} ({element})"

    def _overlaps(self, operation: Operation, dst: StreamState) -> Iterator[str]:
        for name, stream in operation.streams.items():
            if name == "dst" or stream.space is not dst.space or not _meet(stream, dst):
                continue
            if RULES[type(operation.instruction)].elementwise and _same_walk(stream, dst):
                continue
            if isinstance(operation.instruction, Copy) and _moves_down(stream, dst):
                continue
            if _share_bytes(stream, dst):
                yield f"{name} and dst overlap in part"

    def _is_written(self, core: int, stream: StreamState) -> bool:
        return self._is_constant(stream) or self._memory(core, stream).holds(stream)

    def _uninitialised(self, core: int, name: str, stream: StreamState) -> str:
        count, first = self._memory(core, stream).missing(stream)
        space = stream.space.name.lower()
        return (
            f"{name} reads {count} bytes of {space} memory that nothing has written, "
            f"the first at {first}"
        )


def _is_aligned(stream: StreamState) -> bool:
    unit = stream.element.size
    return not stream.base % unit and _has_aligned_steps(stream.walk)


@lru_cache(1 << 16)
def _has_aligned_steps(walk: Walk) -> bool:
    steps = zip(walk.counts, walk.strides, strict=True)
    return not any(stride % walk.element.size for count, stride in steps if count > 1)


def _length(instruction: Instruction, name: str, stream: StreamState) -> Iterator[str]:
    walked = isinstance(instruction, Dot) and name in ("a", "b")
    most = MAX_PRODUCTS if walked else MAX_ELEMENTS
    if stream.count > most:
        yield f"{name} has {stream.count} elements; at most {most} are allowed"


def _same_walk(one: StreamState, other: StreamState) -> bool:
    return (
        one.base == other.base
        and one.element.size == other.element.size
        and (_axes(one) == _axes(other))
    )


def _moves_down(src: StreamState, dst: StreamState) -> bool:
    """Whether a copy in order reads every byte before it writes there."""
    if dst.base >= src.base or src.element is not dst.element or _axes(src) != _axes(dst):
        return False
    reach = src.element.size
    for count, stride in reversed(_axes(src)):
        if stride < reach:
            return False
        reach += (count - 1) * stride
    return True


def _axes(stream: StreamState) -> list[tuple[int, int]]:
    return [(c, s) for c, s in zip(stream.counts, stream.strides, strict=True) if c > 1]


def _meet(one: StreamState, other: StreamState) -> bool:
    """Whether the bytes from the first to the last of one reach into those of the other."""
    (low, high), (other_low, other_high) = one.extent, other.extent
    return low < other_high and other_low < high


def _share_bytes(one: StreamState, other: StreamState) -> bool:
    (low, high), (other_low, other_high) = one.extent, other.extent
    start = min(low, other_low)
    touched = np.zeros(max(high, other_high) - start, np.bool_)
    footprint(one).view(touched, start)[...] = True
    return bool(footprint(other).view(touched, start).any())
