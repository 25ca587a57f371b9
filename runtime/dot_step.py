"""Products of two computed tensors as one step: batched matrix products in BLAS.

An axis of `dot` along which only one operand moves counts rows (`a`) or columns (`b`) of a
matrix product; an axis along which both move counts products; the inner axes are summed over.
Operands are taken without the axes along which they repeat, so nothing is multiplied out.
Sums are exact in float32 below 2^24 and in float64 below 2^53.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from imcc.isa.stream import StreamState

from .memory import Elements, Place
from .products import FLOAT32_LIMIT
from .scratch import Slot
from .steps import Run, TwoSources, Worker, viewed

_FLOAT64_LIMIT = 1 << 53
_INT32_LIMIT = 1 << 31
# Floats of operands and result worked on at once: about the second-level cache.
_BLOCK_FLOATS = 1 << 18
_Take = Callable[[Elements], Elements]


@dataclass(frozen=True)
class DotAxes:
    """The axes of a `dot`, numbered as in streams, by what they do in a matrix product."""

    products: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    inner: tuple[int, ...]

    @classmethod
    def of(cls, a: StreamState, b: StreamState, inner: int) -> DotAxes:
        """Sort the axes of streams with the same counts; the last `inner` ones are inner."""
        first_inner = len(a.counts) - inner
        outer = range(first_inner)
        rows = tuple(i for i in outer if a.strides[i] and not b.strides[i] and a.counts[i] > 1)
        columns = tuple(i for i in outer if b.strides[i] and not a.strides[i] and a.counts[i] > 1)
        products = tuple(i for i in outer if i not in rows + columns)
        return cls(products, rows, columns, tuple(range(first_inner, len(a.counts))))


@dataclass(frozen=True)
class DotStep(TwoSources):
    """Sums of products of elements less their zero points; `bound` is the largest magnitude."""

    axes: DotAxes
    zero_points: tuple[int, int]
    bound: int

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        counts = self.a.stream.counts[: len(self.a.stream.counts) - len(self.axes.inner)]
        shape = (worker.memory.batch, *counts)
        same = viewed(dst, shape)
        target = np.empty(shape, dst.dtype) if same is None else same
        runs = [self._block(worker, target, take) for take in self._blocks(worker)]

        def run() -> None:
            for block in runs:
                block()
            if same is None:
                np.copyto(dst, target.reshape(dst.shape))

        return run

    def _block(self, worker: Worker, target: Elements, take: _Take) -> Run:
        """Return the function for one part of the products."""
        axes, scratch = self.axes, worker.scratch
        kind: np.dtype[Any] = np.dtype(np.float32 if self.bound < FLOAT32_LIMIT else np.float64)
        za, zb = (kind.type(z) for z in self.zero_points)
        a = take(_arranged(self._all_axes(worker, self.a), axes.products, axes.rows, axes.inner))
        by_column = not _moves_fastest(self.b.stream, axes.columns, axes.inner)
        second = (axes.columns, axes.inner) if by_column else (axes.inner, axes.columns)
        b = take(_arranged(self._all_axes(worker, self.b), axes.products, *second))
        dst = take(_arranged(target, axes.products, axes.rows, axes.columns))
        m, k, n = (self._count(group) for group in (axes.rows, axes.inner, axes.columns))

        def run() -> None:
            x = np.subtract(a, za, out=scratch.array(Slot.INPUT, kind, a.shape))
            y = np.subtract(b, zb, out=scratch.array(Slot.DRIVEN, kind, b.shape))
            right = y.reshape(-1, n, k).swapaxes(1, 2) if by_column else y.reshape(-1, k, n)
            sums = scratch.array(Slot.PRODUCT, kind, (len(right), m, n))
            np.matmul(x.reshape(-1, m, k), right, out=sums)
            whole = sums if self.bound < _INT32_LIMIT else sums.astype(np.int64)
            np.copyto(dst, whole.reshape(dst.shape), casting="unsafe")

        return run

    def _all_axes(self, worker: Worker, place: Place) -> Elements:
        view = worker.memory.view(place)
        return view.reshape(worker.memory.batch, *place.stream.counts)

    def _blocks(self, worker: Worker) -> Iterator[_Take]:
        """Yield what cuts arranged views to parts whose buffers stay in cache.

        Inputs of the batch have memories of their own; products of one input are cut only where
        none can overwrite what another one reads.
        """
        batch, axes = worker.memory.batch, self.axes
        m, k, n = (self._count(group) for group in (axes.rows, axes.inner, axes.columns))
        floats = self._count(axes.products) * (m * k + k * n + m * n)
        together = max(_BLOCK_FLOATS // floats, 1)
        apart = not (self.dst.overlaps(self.a) or self.dst.overlaps(self.b))
        cut = next((i for i, axis in enumerate(axes.products) if self._count((axis,)) > 1), None)
        if floats <= _BLOCK_FLOATS or cut is None or not apart:
            for start in range(0, batch, together):
                yield _taker(slice(start, start + together))
            return
        before = (slice(None),) * cut
        for image in range(batch):
            for index in range(self._count((axes.products[cut],))):
                yield _taker(slice(image, image + 1), *before, slice(index, index + 1))

    def _count(self, axes: tuple[int, ...]) -> int:
        return prod(self.a.stream.counts[axis] for axis in axes)


def dot_step(
    places: tuple[Place, Place, Place], axes: DotAxes, zero_points: tuple[int, int], bound: int
) -> DotStep | None:
    """Return the step for `a`, `b` and `dst`, or None where no float holds the sums exactly."""
    return DotStep(*places, axes, zero_points, bound) if bound < _FLOAT64_LIMIT else None


def _taker(*parts: slice) -> _Take:
    return lambda view: view[parts]


def _arranged(view: Elements, *groups: tuple[int, ...]) -> Elements:
    """Return a view [batch, *groups]; of axes in no group only the first element is kept."""
    kept = [1 + axis for group in groups for axis in group]
    dropped = [axis for axis in range(1, view.ndim) if axis not in kept]
    first: tuple[Any, ...] = (..., *[0] * len(dropped))
    arranged: Elements = view.transpose(0, *kept, *dropped)[first]
    return arranged


def _moves_fastest(stream: StreamState, axes: tuple[int, ...], others: tuple[int, ...]) -> bool:
    """Tell whether neighbours along one of `axes` lie closer in memory than along `others`."""
    steps = [
        min((abs(stream.strides[i]) for i in group if stream.counts[i] > 1), default=1 << 40)
        for group in (axes, others)
    ]
    return steps[0] < steps[1]
