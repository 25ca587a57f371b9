"""Convolutions that compute several neighbouring windows at once.

The *parallel window* of Zhang et al. (shift and duplicate kernel, TCAD 2020) is what the rows of
an array hold at a time. It covers p neighbouring windows along a spatial axis where the kernel is
written p times, each copy shifted by one stride: a kernel of k elements and stride s becomes one
of ``k + (p - 1) * s`` elements and stride ``p * s`` with p times the outputs. What no copy covers
is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..op import Array, OpError, Stage, op
from ..types import TensorType
from .quantized import QConv, check_product
from .windows import Windows


@op("qconv_parallel", Stage.TILED)
class QParallelConv(QConv):
    """A `QConv` without groups whose weights hold copies of its kernel, one for each window.

    `parallel` counts windows along each spatial axis; strides and pads are those of the
    convolution. Operands: x ``[1, C, *spatial]``, w ``[P * O, C, *wide]`` with P the product of
    `parallel`, outputs of the first window first, and bias ``[P * O]``. Along axes with more than
    one window the dilation is 1. The number of positions must be a multiple of `parallel` along
    all axes, the last excepted where there is one window along the others: what the last parallel
    window has beyond the edge is dropped.
    """

    parallel: tuple[int, ...] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        """From one parallel window to the next."""
        return tuple(s * p for s, p in zip(self.strides, self.parallel, strict=True))

    def kernel(self, weights: TensorType) -> tuple[int, ...]:
        """Elements of the kernel of one window."""
        parts = zip(weights.shape[2:], self.parallel, self.strides, strict=True)
        return tuple(wide - (p - 1) * s for wide, p, s in parts)

    def positions(self, weights: TensorType, spatial: Sequence[int]) -> tuple[int, ...]:
        """Windows of the convolution along each axis."""
        kernel = self.kernel(weights)
        return Windows(kernel, self.strides, self.pads, self.dilations).output(spatial)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes ``[1, O, *positions]``."""
        check_product(operands, axis=0)
        x, weights, _ = operands
        copies = prod(self.parallel)
        if not len(self.parallel) == len(self.strides) == x.rank - 2 == weights.rank - 2:
            raise OpError(f"x {x.shape}, w {weights.shape} and {self.parallel} differ in rank")
        if self.group != 1 or weights.shape[1] != x.shape[1] or weights.shape[0] % copies:
            raise OpError(
                f"w is {weights.shape} with group {self.group} for {copies} windows, and x has "
                f"{x.shape[1]} channels"
            )
        positions = self.positions(weights, x.shape[2:])
        if not fits(positions, self.parallel):
            raise OpError(f"{positions} windows cannot be made {self.parallel} at a time")
        return (self.requant.type((x.shape[0], weights.shape[0] // copies, *positions)),)

    def windows(self, weights: TensorType, spatial: Sequence[int]) -> Windows:
        """The parallel windows, with padding for what the last one has beyond the edge."""
        positions = self.positions(weights, spatial)
        rank = len(positions)
        counts = counted(positions, self.parallel)
        after = (
            max(0, (count - 1) * step + wide - before - extent)
            for count, step, wide, before, extent in zip(
                counts, self.steps, weights.shape[2:], self.pads[:rank], spatial, strict=True
            )
        )
        pads = (*self.pads[:rank], *after)
        return Windows(weights.shape[2:], self.steps, pads, self.dilations)

    def in_place(self, codes: Array, types: Sequence[TensorType]) -> Array:
        """Codes ``[B, P * O, *counts]`` of parallel windows as ``[B, O, *positions]``."""
        positions = self.positions(types[1], types[0].shape[2:])
        rank, counts = len(positions), codes.shape[2:]
        apart = codes.reshape(len(codes), *self.parallel, -1, *counts)
        order = [axis for i in range(rank) for axis in (rank + 2 + i, 1 + i)]
        spread = apart.transpose(0, rank + 1, *order)
        whole = spread.reshape(
            *spread.shape[:2], *(c * p for c, p in zip(counts, self.parallel, strict=True))
        )
        index: tuple[slice, ...] = tuple(slice(extent) for extent in (*whole.shape[:2], *positions))
        return whole[index]


def counted(positions: Sequence[int], parallel: Sequence[int]) -> tuple[int, ...]:
    """Parallel windows along each axis."""
    return tuple(-(-extent // p) for extent, p in zip(positions, parallel, strict=True))


def fits(positions: Sequence[int], parallel: Sequence[int]) -> bool:
    """Whether so many positions can be made by such parallel windows."""
    rest = [extent % p for extent, p in zip(positions, parallel, strict=True)]
    return not any(rest) or (not any(rest[:-1]) and prod(parallel[:-1]) == 1 and len(rest) > 1)


def widened(weights: Array, parallel: Sequence[int], strides: Sequence[int]) -> Array:
    """The weights ``[P * O, C, *wide]`` of parallel windows, of weights ``[O, C, *kernel]``."""
    kernel = weights.shape[2:]
    wide = (k + (p - 1) * s for k, p, s in zip(kernel, parallel, strides, strict=True))
    copies = np.zeros((*parallel, *weights.shape[:2], *wide), weights.dtype)
    for window in np.ndindex(*parallel):
        copy = copies[window]
        for axis, (i, s, k) in enumerate(zip(window, strides, kernel, strict=True), start=2):
            copy = copy[(slice(None),) * axis + (slice(i * s, i * s + k),)]
        copy[...] = weights
    return copies.reshape(-1, *copies.shape[len(parallel) + 1 :])
