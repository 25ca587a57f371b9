"""Steps of a decoded program: operations bound to views, ready to run over a batch.

A step says which places it reads and writes (for liveness) and is bound once to the memory of a
worker; the bound function takes nothing and does the whole operation for all inputs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from imcc.isa.walk import Operation

from .memory import DTYPES, Elements, Memory, Place
from .scratch import Scratch, Slot
from .semantics import Chip, executes

Run = Callable[[], None]
_UINT16 = np.dtype(np.uint16)
_UINT8 = np.dtype(np.uint8)
# Elements worked on at once: a few buffers of this many floats stay in the second-level cache.
BLOCK_ELEMENTS = 1 << 15
# Up to here a reduction runs as one operation on whole arrays for each of its elements.
_FEW_TERMS = 64


@dataclass(frozen=True)
class Worker:
    """Memory for one chunk of the batch and all that a thread needs to run it."""

    chip: Chip
    scratch: Scratch
    captured: dict[str, Elements]

    @property
    def memory(self) -> Memory:
        """The memories of the chunk."""
        return self.chip.memory


class Step(Protocol):
    """One decoded operation."""

    @property
    def reads(self) -> tuple[Place, ...]:
        """What it reads."""
        ...

    @property
    def writes(self) -> tuple[Place, ...]:
        """What it writes."""
        ...

    def bind(self, worker: Worker) -> Run:
        """Return the function that runs the step on the memory of `worker`."""
        ...


@dataclass(frozen=True)
class OneSource:
    """A step that reads `src` and writes `dst`."""

    src: Place
    dst: Place

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.src,)

    @property
    def writes(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.dst,)


@dataclass(frozen=True)
class TwoSources:
    """A step that reads `a` and `b` and writes `dst`."""

    a: Place
    b: Place
    dst: Place

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.a, self.b)

    @property
    def writes(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.dst,)


@dataclass(frozen=True)
class CopyStep(OneSource):
    """Copies elements in stream order: load, store, copy, and a send with its receive."""

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        src, dst = aligned(worker.memory.view(self.src), worker.memory.view(self.dst))
        if src.shape == dst.shape:
            return lambda: np.copyto(dst, src)
        return lambda: np.copyto(dst, src.reshape(dst.shape))


@dataclass(frozen=True)
class FillStep:
    """Writes one value to every element."""

    dst: Place
    value: int
    reads: tuple[Place, ...] = ()

    @property
    def writes(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.dst,)

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        value = np.asarray(self.value, np.int64).astype(dst.dtype)
        return lambda: np.copyto(dst, value)


@dataclass(frozen=True)
class PairTableStep(TwoSources):
    """Looks up pairs of 8-bit codes in a table of 65536: add, mul, divide with known words."""

    table: Elements

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        a = reshaped(worker.memory.view(self.a), dst.shape)
        b = reshaped(worker.memory.view(self.b), dst.shape)
        blocks = list(batch_blocks(dst.shape))

        def run() -> None:
            for rows in blocks:
                shape = dst[rows].shape
                index = worker.scratch.array(Slot.INDEX, _UINT16, shape)
                found = worker.scratch.array(Slot.CODES, self.table.dtype, shape)
                np.multiply(a()[rows].view(_UINT8), np.uint16(256), out=index)
                np.add(index, b()[rows].view(_UINT8), out=index)
                np.take(self.table, index, out=found, mode="clip")
                np.copyto(dst[rows], found)

        return run


@dataclass(frozen=True)
class TableStep(OneSource):
    """Looks 8-bit codes up in a known table."""

    table: Elements

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        src = reshaped(worker.memory.view(self.src), dst.shape)
        blocks = list(batch_blocks(dst.shape))

        def run() -> None:
            for rows in blocks:
                found = worker.scratch.array(Slot.CODES, self.table.dtype, dst[rows].shape)
                np.take(self.table, src()[rows].view(_UINT8), out=found, mode="clip")
                np.copyto(dst[rows], found)

        return run


@dataclass(frozen=True)
class ReduceStep(OneSource):
    """Takes the maximum or the sum along the last axes."""

    outer: int
    inner: int
    function: np.ufunc

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        src = worker.memory.view(self.src)
        split = axes_holding(src.shape[1:], self.outer) + 1
        if self.inner > _FEW_TERMS:
            return self._reduce_at_once(src, dst, split)
        terms = [src[(..., *i)] for i in np.ndindex(*src.shape[split:])]
        shape = terms[0].shape

        def run() -> None:
            total = worker.scratch.array(Slot.TOTAL, dst.dtype, shape)
            np.copyto(total, terms[0], casting="unsafe")
            for term in terms[1:]:
                self.function(total, term, out=total, casting="unsafe")
            np.copyto(dst, total.reshape(dst.shape))

        return run

    def _reduce_at_once(self, src: Elements, dst: Elements, split: int) -> Run:
        axes = tuple(range(split, src.ndim))

        def run() -> None:
            total = self.function.reduce(src, axis=axes, dtype=dst.dtype)
            np.copyto(dst, total.reshape(dst.shape))

        return run


@dataclass(frozen=True)
class AccumulateStep(TwoSources):
    """Adds int32 partial sums."""

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        a = reshaped(worker.memory.view(self.a), dst.shape)
        b = reshaped(worker.memory.view(self.b), dst.shape)
        return lambda: np.copyto(dst, np.add(a(), b()))


@dataclass(frozen=True)
class LiteralStep:
    """Runs the literal meaning of an operation, where nothing faster is known to be equal."""

    operation: Operation
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        execute = executes[type(self.operation.instruction)]
        return lambda: execute(worker.chip, self.operation)


@dataclass(frozen=True)
class CaptureStep:
    """Copies the elements of a place out of the machine."""

    name: str
    src: Place
    writes: tuple[Place, ...] = ()

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.src,)

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        src = worker.memory.view(self.src)
        shape = (worker.memory.batch, *self.src.stream.counts)

        def run() -> None:
            worker.captured[self.name] = src.copy().reshape(shape)

        return run


def aligned(src: Elements, dst: Elements) -> tuple[Elements, Elements]:
    """Return both views in one shape where either can be viewed in the shape of the other."""
    if src.shape == dst.shape:
        return src, dst
    for one, other, swap in ((src, dst, False), (dst, src, True)):
        view = viewed(one, other.shape)
        if view is not None:
            return (other, view) if swap else (view, other)
    return src, dst


def reshaped(view: Elements, shape: tuple[int, ...]) -> Callable[[], Elements]:
    """Return a function that gives a view in another shape; it copies only where it must."""
    same = viewed(view, shape)
    if same is not None:
        return lambda: same
    return lambda: view.reshape(shape)


def viewed(view: Elements, shape: tuple[int, ...]) -> Elements | None:
    """Return a view in another shape, or None where it would be a copy."""
    if view.shape == shape:
        return view
    try:
        return view.reshape(shape, copy=False)
    except ValueError:
        return None


def axes_holding(counts: tuple[int, ...], elements: int) -> int:
    """Return how many leading axes hold `elements` elements."""
    held = 0
    while prod(counts[:held]) != elements:
        held += 1
    return held


def batch_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of the batch axis with about `BLOCK_ELEMENTS` elements each."""
    rows = max(BLOCK_ELEMENTS // max(prod(shape[1:]), 1), 1)
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def stream_dtype(place: Place) -> np.dtype[Any]:
    """Return the NumPy type of the elements of a place."""
    return DTYPES[place.stream.element]
