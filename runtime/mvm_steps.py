"""Matrix-vector products and requantization as steps of a decoded program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .memory import Elements, Place
from .output_stage import Requantizer
from .products import Product
from .scratch import Slot
from .steps import OneSource, Run, Worker, batch_blocks, reshaped

# Floats in the largest buffer of one product: about half of the second-level cache.
_BLOCK_FLOATS = 1 << 17
_INT32_LIMIT = 1 << 31
_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class MvmStep(OneSource):
    """Multiplies windows by a prepared product and stores, or adds to, int32 accumulators."""

    product: Product
    windows: int
    accumulate: bool

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.src, self.dst) if self.accumulate else (self.src,)

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        blocks = list(_blocks(self, worker))

        def run() -> None:
            for windows, dst in blocks:
                sums = self.product.multiply(windows, worker.scratch).reshape(dst.shape)
                if self.product.bound >= _INT32_LIMIT:
                    sums = sums.astype(np.int64)
                if self.accumulate:
                    np.add(dst, sums.astype(np.int32), out=dst)
                else:
                    np.copyto(dst, sums, casting="unsafe")

        return run


@dataclass(frozen=True)
class DealtMvmStep(OneSource):
    """A product whose copies hold different cells: each computes the windows dealt to it."""

    products: tuple[Product, ...]
    windows: int
    accumulate: bool

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.src, self.dst) if self.accumulate else (self.src,)

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        src, dst = worker.memory.view(self.src), worker.memory.view(self.dst)

        def run() -> None:
            x = src.reshape(len(src), self.windows, -1)
            y = np.empty((len(dst), self.windows, dst[0].size // self.windows), np.int64)
            for copy, product in enumerate(self.products[: self.windows]):
                dealt = np.s_[:, copy :: len(self.products)]
                own = y[dealt]
                own[...] = product.multiply(x[dealt], worker.scratch).reshape(own.shape)
            sums = y.reshape(dst.shape)
            dst[...] = (dst + sums if self.accumulate else sums).astype(np.int32)

        return run


@dataclass(frozen=True)
class MvmRequantStep(OneSource):
    """A product whose accumulators go straight through the output stage."""

    product: Product
    windows: int
    requantizer: Requantizer

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        blocks = list(_blocks(self, worker))
        product, requantizer, scratch = self.product, self.requantizer, worker.scratch

        def run() -> None:
            for windows, dst in blocks:
                codes = requantizer.finish(product.multiply(windows, scratch), scratch)
                np.copyto(dst, codes.reshape(dst.shape), casting="unsafe")

        return run


@dataclass(frozen=True)
class RequantStep(OneSource):
    """Requantizes elements in memory, as rows of `columns` elements with one row of parameters."""

    requantizer: Requantizer
    columns: int

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        dst = worker.memory.view(self.dst)
        src = reshaped(worker.memory.view(self.src), dst.shape)
        blocks = list(batch_blocks(dst.shape))
        first = _FLOAT64 if self.requantizer.wide_bias else _FLOAT32

        def run() -> None:
            for rows in blocks:
                values = worker.scratch.array(Slot.RESULT, first, dst[rows].shape)
                np.copyto(values, src()[rows], casting="unsafe")
                values = values.reshape(-1, self.columns)
                codes = self.requantizer.finish(values, worker.scratch)
                np.copyto(dst[rows], codes.reshape(dst[rows].shape), casting="unsafe")

        return run


def _blocks(step: MvmStep | MvmRequantStep, worker: Worker) -> Iterator[tuple[Elements, Elements]]:
    """Yield (windows, destination) views small enough for the buffers to stay in cache."""
    src, dst = worker.memory.view(step.src), worker.memory.view(step.dst)
    image_floats = step.windows * step.product.width
    if image_floats > _BLOCK_FLOATS and _can_cut_images(step, src, dst):
        bands = list(_ranges(src.shape[1], -(-image_floats // _BLOCK_FLOATS)))
        yield from ((src[i : i + 1, b], dst[i : i + 1, b]) for i in range(len(src)) for b in bands)
        return
    together = max(_BLOCK_FLOATS // image_floats, 1)
    for rows in _ranges(len(src), -(-len(src) // together)):
        yield src[rows], dst[rows]


def _can_cut_images(step: MvmStep | MvmRequantStep, src: Elements, dst: Elements) -> bool:
    """Tell whether the first axis counts windows on both sides, and bands do not interfere."""
    same_axis = step.windows > 1 and src.shape[1] == dst.shape[1]
    return same_axis and not step.src.overlaps(step.dst)


def _ranges(length: int, parts: int) -> Iterator[slice]:
    """Cut 0..length into about `parts` slices of equal length."""
    size = -(-length // min(parts, length))
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
