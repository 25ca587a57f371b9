"""Reading feature maps at computed places: grid sampling, regions of interest, deformed kernels.

A value between elements is a sum over the elements around it, along each axis with the weights
of linear interpolation ``1 - |i - x|`` or of Keys' cubic function with coefficient -3/4.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import product
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_float, expect_spatial, expect_vector
from .linear import convolution_shape
from .resize import Interpolation
from .windows import Windows

_KEYS = -0.75


class Border(StrEnum):
    """What lies outside the input."""

    ZEROS = "zeros"
    EDGE = "edge"
    REFLECTION = "reflection"


class RegionMode(StrEnum):
    """How the samples of a bin become one value."""

    MEAN = "mean"
    MAX = "max"


@op("affine_grid", Stage.FLOAT)
class AffineGrid(Op):
    """Coordinates ``theta @ (x, y[, z], 1)`` of every point of a grid from -1 to 1.

    theta ``[N, n, n + 1]`` gives ``[N, *extents, n]`` for n = 2 or 3, coordinates in the order x,
    y, z, while `extents` are in the order z, y, x. The ends -1 and 1 are centres of elements if
    `align_corners`, else their outer edges.
    """

    extents: tuple[int, ...]
    align_corners: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, *extents, n]`` in float32."""
        expect_count(operands, 1)
        expect_float(operands)
        (theta,), rank = operands, len(self.extents)
        if rank not in (2, 3) or theta.rank != 3 or theta.shape[1:] != (rank, rank + 1):
            raise OpError(f"theta {list(theta.shape)} does not fit {rank} axes; allowed are 2 or 3")
        if min(self.extents) < 1:
            raise OpError(f"extents are {list(self.extents)}, each must be at least 1")
        return (theta.with_shape((theta.shape[0], *self.extents, rank)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One matrix product."""
        axes = [self._centres(extent) for extent in self.extents]
        grid = np.meshgrid(*axes, indexing="ij")
        points = np.stack([*reversed(grid), np.ones(self.extents)]).reshape(len(axes) + 1, -1)
        mapped = np.matmul(inputs[0].astype(np.float64), points).swapaxes(1, 2)
        shape = (len(inputs[0]), *self.extents, len(axes))
        return (np.ascontiguousarray(mapped.reshape(shape), np.float32),)

    def _centres(self, extent: int) -> Array:
        if self.align_corners:
            return np.linspace(-1, 1, extent)
        return (2 * np.arange(extent) + 1) / extent - 1


@op("grid_sample", Stage.FLOAT)
class GridSample(Op):
    """Values of x ``[N, C, *d]`` at the places of a grid ``[N, *e, n]``: ``[N, C, *e]``.

    Coordinates run from -1 to 1, the last axis first, as for AffineGrid. Those outside are moved to
    the border; for cubic interpolation only the elements are, as onnxruntime and PyTorch do.
    """

    interpolation: Interpolation = Interpolation.LINEAR
    border: Border = Border.ZEROS
    align_corners: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, *e]`` in float32."""
        expect_count(operands, 2)
        expect_float(operands)
        x, grid = operands
        rank = expect_spatial(x)
        if grid.rank != x.rank or grid.shape[0] != x.shape[0] or grid.shape[-1] != rank:
            raise OpError(f"the grid {list(grid.shape)} does not fit an input {list(x.shape)}")
        return (x.with_shape((*x.shape[:2], *grid.shape[1:-1])),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A gather for each element that has a weight."""
        x, grid = inputs
        extents = np.asarray(x.shape[2:], np.float32)
        places = grid[..., ::-1]
        if self.align_corners:
            places = (places + 1) / 2 * (extents - 1)
        else:
            places = ((places + 1) * extents - 1) / 2
        if self.interpolation is Interpolation.NEAREST:
            places = np.rint(places)
        places = places.astype(np.float32)
        if self.interpolation is not Interpolation.CUBIC:
            places = self._inside(places, x.shape[2:])
        return (self.sample(x, places),)

    def sample(self, x: Array, places: Array) -> Array:
        """Values at coordinates in elements, ``[N, *e, n]``."""
        floor = np.floor(places).astype(np.int64)
        fraction = (places - floor).astype(np.float32)
        rank = x.ndim - 2
        total = np.zeros((*x.shape[:2], *places.shape[1:-1]), np.float32)
        for offset in product(_taps(self.interpolation), repeat=rank):
            weight = np.ones(places.shape[:-1], np.float32)
            for axis, step in enumerate(offset):
                weight = weight * _weight(self.interpolation, fraction[..., axis], step)
            total += weight[:, None] * self._pixels(x, floor + np.asarray(offset))
        return total

    def _pixels(self, x: Array, index: Array) -> Array:
        """The elements at whole coordinates, of which some may lie outside."""
        extents = np.asarray(x.shape[2:])
        inside = np.all((index >= 0) & (index < extents), axis=-1)
        resolved = self._inside(index.astype(np.float64), x.shape[2:])
        found = gather(x, np.clip(resolved, 0, extents - 1).astype(np.int64))
        if self.border is not Border.ZEROS:
            return found
        return np.where(inside[:, None], found, np.float32(0))

    def _inside(self, places: Array, extents: tuple[int, ...]) -> Array:
        """Coordinates moved into the input, as the border says."""
        size = np.asarray(extents, places.dtype)
        if self.border is Border.EDGE:
            return np.clip(places, 0, size - 1)
        if self.border is Border.ZEROS:
            return places
        half = places.dtype.type(0 if self.align_corners else 0.5)
        low, width = -half, size - 1 + 2 * half
        distance = np.mod(places - low, 2 * width)
        return np.asarray(low + np.minimum(distance, 2 * width - distance), places.dtype)


@op("roi_align", Stage.FLOAT)
class RoiAlign(Op):
    """Means or maxima over the bins of regions of feature maps x ``[N, C, H, W]``.

    Operands: x, regions ``[R, 4]`` (x1, y1, x2, y2), the map of each region ``[R]``. A region times
    `scale`, shifted by half an element if `half_pixel`, is divided into `extents` bins, each with
    `samples` x `samples` points (0: as many as the bin has elements). A point's value is linearly
    interpolated; the maximum is over the products of elements and weights.
    """

    extents: tuple[int, int]
    scale: float = 1.0
    samples: int = 0
    mode: RegionMode = RegionMode.MEAN
    half_pixel: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[R, C, *extents]`` in float32."""
        expect_count(operands, 3)
        expect_float(operands[:2])
        x, regions, maps = operands
        if x.rank != 4 or regions.shape[1:] != (4,) or maps.dtype is not DType.I64:
            raise OpError("needed are x [N, C, H, W], regions [R, 4] and i64 maps [R]")
        expect_vector(maps, regions.shape[0], "the map of each region")
        return (x.with_shape((regions.shape[0], x.shape[1], *self.extents)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Regions choose among the maps of the whole batch."""
        return "axis 0 is the batch, here regions choose from it"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One region after the other: the number of points depends on it."""
        x, regions, maps = inputs
        shift = np.float32(0.5 if self.half_pixel else 0)
        corners = regions * np.float32(self.scale) - shift
        result = np.zeros((len(regions), x.shape[1], *self.extents), np.float32)
        for index, (corner, chosen) in enumerate(zip(corners, maps, strict=True)):
            result[index] = self._region(x[int(chosen)], corner)
        return (result,)

    def _region(self, x: Array, corner: Array) -> Array:
        axes = [self._points(corner[axis], corner[axis + 2], axis, x) for axis in (1, 0)]
        rows, columns = axes
        values = [
            (vertical[:, :, None, None] * horizontal) * x[:, row][:, :, :, column]
            for (row, vertical), (column, horizontal) in product(rows, columns)
        ]
        stacked = np.stack(values)
        if self.mode is RegionMode.MAX:
            return np.asarray(stacked.max(axis=(0, 3, 5)))
        return np.asarray(stacked.sum(axis=0).mean(axis=(2, 4)))

    def _points(self, begin: Array, end: Array, axis: int, x: Array) -> list[tuple[Array, Array]]:
        """For one axis, the two elements around each point ``[bins, points]``, with weights."""
        bins, extent = self.extents[1 - axis], x.shape[2 - axis]
        size = float(end - begin)
        size = size if self.half_pixel else max(size, 1.0)
        step = size / bins
        points = self.samples or max(int(np.ceil(step)), 1)
        offsets = np.arange(bins)[:, None] * step + (np.arange(points) + 0.5) * step / points
        place = begin + offsets
        known = (place >= -1) & (place <= extent)
        clipped = np.clip(place, 0, extent - 1)
        low = np.floor(clipped).astype(np.int64)
        fraction = clipped - low
        high = np.minimum(low + 1, extent - 1)
        return [
            (low, np.where(known, 1 - fraction, 0).astype(np.float32)),
            (high, np.where(known, fraction, 0).astype(np.float32)),
        ]


@op("deform_conv", Stage.FLOAT)
class DeformConv(Op):
    """Convolution over two axes whose kernel elements are moved by offsets.

    Operands: x ``[N, C, H, W]``, w ``[O, C/group, *k]``, offsets ``[N, F * prod(k) * 2, *e]`` (rows
    and columns, in elements) for F groups of channels[, bias ``[O]``[, factors of the elements
    ``[N, F * prod(k), *e]``]]; a bias left out before factors is a zero vector. Values between
    elements are linearly interpolated, outside the input they are 0.
    """

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    group: int = 1
    offset_group: int = 1

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, O, *e]`` in float32."""
        expect_count(operands, 3, 5)
        expect_float(operands)
        x, w, offset = operands[:3]
        shape = convolution_shape(self._windows(w.shape[2:]), self.group, x, w)
        size = prod(w.shape[2:]) * self.offset_group
        if x.rank != 4 or self.offset_group < 1 or x.shape[1] % self.offset_group:
            raise OpError(f"{list(x.shape)} must be [N, C, H, W], C divisible by offset_group")
        needed = ((x.shape[0], 2 * size, *shape[2:]), (x.shape[0], size, *shape[2:]))
        if offset.shape != needed[0] or any(m.shape != needed[1] for m in operands[4:]):
            raise OpError(f"offsets must be {list(needed[0])} and factors {list(needed[1])}")
        if len(operands) > 3:
            expect_vector(operands[3], w.shape[0], "bias")
        return (TensorType(DType.F32, shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The moved elements as columns, then one matrix product a group."""
        x, w, offset = inputs[:3]
        output, kernel = offset.shape[2:], w.shape[2:]
        places = self._places(offset.reshape(len(x), self.offset_group, -1, 2, *output), kernel)
        parts = x.reshape(len(x) * self.offset_group, -1, *x.shape[2:])
        sampler = GridSample()
        columns = sampler.sample(parts, places.reshape(len(parts), -1, 2))
        columns = columns.reshape(len(x), self.offset_group, -1, prod(kernel), *output)
        if len(inputs) == 5:
            columns = columns * inputs[4].reshape(
                len(x), self.offset_group, 1, prod(kernel), *output
            )
        matrix = columns.reshape(len(x), self.group, -1, prod(output))
        y = np.matmul(w.reshape(self.group, len(w) // self.group, -1), matrix)
        y = y.reshape(len(x), len(w), *output)
        return (y + inputs[3].reshape(-1, 1, 1) if len(inputs) > 3 else y,)

    def _windows(self, kernel: tuple[int, ...]) -> Windows:
        return Windows(kernel, self.strides, self.pads, self.dilations)

    def _places(self, offset: Array, kernel: tuple[int, ...]) -> Array:
        """Coordinates ``[N, F, prod(k), *e, 2]`` of the moved elements."""
        output = offset.shape[4:]
        steps = [
            np.arange(k)[:, None] * d + np.arange(n) * s - b
            for k, d, n, s, b in zip(
                kernel, self.dilations, output, self.strides, self.pads, strict=False
            )
        ]
        rows = np.broadcast_to(steps[0][:, None, :, None], (*kernel, *output))
        columns = np.broadcast_to(steps[1][None, :, None, :], (*kernel, *output))
        regular = np.stack([rows, columns], axis=-1).reshape(-1, *output, 2)
        return np.moveaxis(offset, 3, -1) + regular.astype(np.float32)


def gather(x: Array, index: Array) -> Array:
    """Elements of x ``[N, C, *d]`` at ``[N, *e, n]``, all inside: ``[N, C, *e]``."""
    flat = np.ravel_multi_index(tuple(np.moveaxis(index, -1, 0)), x.shape[2:])
    samples = x.reshape(*x.shape[:2], -1)
    found = np.take_along_axis(samples, flat.reshape(len(x), 1, -1), axis=2)
    return np.asarray(found.reshape(*x.shape[:2], *index.shape[1:-1]))


def _taps(interpolation: Interpolation) -> range:
    """Which elements around a place have weight, counted from the one before it."""
    match interpolation:
        case Interpolation.NEAREST:
            return range(1)
        case Interpolation.LINEAR:
            return range(2)
        case Interpolation.CUBIC:
            return range(-1, 3)


def _weight(interpolation: Interpolation, fraction: Array, step: int) -> Array:
    """The weight of the element `step` behind the one before the place."""
    t = np.abs(step - fraction)
    match interpolation:
        case Interpolation.NEAREST:
            return np.ones_like(fraction)
        case Interpolation.LINEAR:
            return np.asarray(1 - t)
        case Interpolation.CUBIC:
            near = ((_KEYS + 2) * t - (_KEYS + 3)) * t * t + 1
            far = ((t - 5) * t + 8) * t * _KEYS - 4 * _KEYS
            return np.asarray(np.where(t <= 1, near, far))
