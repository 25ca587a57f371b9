"""Resampling along axes: nearest element, linear or cubic interpolation.

Output index y of an axis lies at input coordinate x (extent d, scale s, resized extent r = s * d):

    half-pixel              ``(y + 0.5) / s - 0.5``
    half-pixel-symmetric    the same, plus ``d / 2 * (1 - floor(r) / r)``
    pytorch-half-pixel      the same as half-pixel, but -0.5 where r = 1
    align-corners           ``y * (d - 1) / (r - 1)``, 0 where r = 1
    asymmetric              ``y / s``
    crop                    ``(b + y * (e - b) / (r - 1)) * (d - 1)`` for a region b to e

Interpolation weighs the input elements i by a kernel of ``t = |i - x|``: linear ``1 - t``, cubic
Keys' function with coefficient a. Elements outside the input repeat its border or, with
`exclude_outside`, have no weight. With `antialias` and s < 1 the kernel is stretched by 1 / s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count
from .real import expect_real, working_type

_Floats = NDArray[np.float64]


class Interpolation(StrEnum):
    """How an element between input elements is found."""

    NEAREST = "nearest"
    LINEAR = "linear"
    CUBIC = "cubic"


class Coordinates(StrEnum):
    """Where an output element lies in the input."""

    HALF_PIXEL = "half-pixel"
    HALF_PIXEL_SYMMETRIC = "half-pixel-symmetric"
    PYTORCH_HALF_PIXEL = "pytorch-half-pixel"
    ALIGN_CORNERS = "align-corners"
    ASYMMETRIC = "asymmetric"
    CROP = "crop"


class Rounding(StrEnum):
    """Which input element is the nearest."""

    PREFER_FLOOR = "prefer-floor"
    PREFER_CEIL = "prefer-ceil"
    FLOOR = "floor"
    CEIL = "ceil"


@dataclass(frozen=True)
class ResizedAxis:
    """One axis: its new extent, the scale, and the region (in units of the axis) for CROP."""

    axis: int
    extent: int
    scale: float
    begin: float = 0.0
    end: float = 1.0

    def coordinates(self, kind: Coordinates, extent: int) -> _Floats:
        """Coordinates of the output elements in an input of this extent."""
        y = np.arange(self.extent, dtype=np.float64)
        resized = self.scale * extent
        half_pixel = (y + 0.5) / self.scale - 0.5
        match kind:
            case Coordinates.HALF_PIXEL:
                return half_pixel
            case Coordinates.HALF_PIXEL_SYMMETRIC:
                return half_pixel + extent / 2 * (1 - self.extent / resized)
            case Coordinates.PYTORCH_HALF_PIXEL:
                return half_pixel if resized != 1 else np.full(self.extent, -0.5)
            case Coordinates.ALIGN_CORNERS:
                return y * (extent - 1) / (resized - 1) if resized != 1 else np.zeros(self.extent)
            case Coordinates.ASYMMETRIC:
                return y / self.scale
            case Coordinates.CROP:
                step = y / (resized - 1) if resized != 1 else np.full(self.extent, 0.5)
                return (self.begin + step * (self.end - self.begin)) * (extent - 1)


@op("resize", Stage.FLOAT)
class Resize(Op):
    """Resampling of some axes, one after the other.

    `outside` is the value of elements whose coordinate leaves the input, for CROP only.
    """

    axes: tuple[ResizedAxis, ...]
    interpolation: Interpolation
    coordinates: Coordinates = Coordinates.HALF_PIXEL
    rounding: Rounding = Rounding.PREFER_FLOOR
    coefficient: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    outside: float = 0.0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The operand with other extents; any element type for the nearest element."""
        expect_count(operands, 1)
        (x,) = operands
        if self.interpolation is not Interpolation.NEAREST:
            expect_real(operands)
        numbers = [entry.axis for entry in self.axes]
        if len(set(numbers)) < len(numbers) or any(not 0 <= n < x.rank for n in numbers):
            raise OpError(f"axes are {numbers}, each must be one of the {x.rank} axes, once")
        shape = list(x.shape)
        for entry in self.axes:
            if entry.extent < 1 or not entry.scale > 0 or not shape[entry.axis]:
                raise OpError(
                    f"axis {entry.axis} of extent {shape[entry.axis]} cannot become "
                    f"{entry.extent} with scale {entry.scale:g}"
                )
            shape[entry.axis] = entry.extent
        return (x.with_shape(tuple(shape)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 is not resized."""
        resized = any(entry.axis == 0 for entry in self.axes)
        return "axis 0 is the batch, it is resized here" if resized else ""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A gather, or a matrix product an axis."""
        y = inputs[0]
        nearest = self.interpolation is Interpolation.NEAREST
        if not nearest:
            y = y.astype(working_type(y.dtype))
        for entry in self.axes:
            extent = y.shape[entry.axis]
            if nearest:
                y = np.take(y, self.nearest(entry, extent), entry.axis)
            else:
                y = _weighted(y, self.weights(entry, extent), entry.axis)
            _set_outside(y, entry.axis, self.outside_input(entry, extent), self.outside)
        return (np.ascontiguousarray(y, inputs[0].dtype),)

    def outside_input(self, entry: ResizedAxis, extent: int) -> NDArray[np.bool_]:
        """Which output elements along one axis take the value `outside`."""
        x = entry.coordinates(self.coordinates, extent)
        return ((x < 0) | (x > extent - 1)) & (self.coordinates is Coordinates.CROP)

    def nearest(self, entry: ResizedAxis, extent: int) -> NDArray[np.int64]:
        """The input element of each output element along one axis."""
        x = entry.coordinates(self.coordinates, extent)
        return _nearest(x, self.rounding, extent)

    def weights(self, entry: ResizedAxis, extent: int) -> _Floats:
        """The matrix ``[output, input]`` of one axis, for linear and cubic interpolation."""
        x = entry.coordinates(self.coordinates, extent)
        shrink = min(entry.scale, 1.0) if self.antialias else 1.0
        radius = 1 if self.interpolation is Interpolation.LINEAR else 2
        reach = int(np.ceil(radius / shrink))
        index = np.floor(x).astype(np.int64)[:, None] + np.arange(1 - reach, reach + 1)
        distance = np.abs(index - x[:, None]) * shrink
        taps = _hat(distance) if radius == 1 else _keys(distance, self.coefficient)
        if self.exclude_outside:
            taps = np.where((index < 0) | (index >= extent), 0.0, taps)
        if self.exclude_outside or shrink < 1:
            total = taps.sum(axis=1, keepdims=True)
            taps = taps / np.where(total == 0, 1.0, total)
        matrix = np.zeros((len(x), extent))
        rows = np.arange(len(x))[:, None]
        np.add.at(matrix, (rows, np.clip(index, 0, extent - 1)), taps)
        return matrix


def _nearest(x: _Floats, rounding: Rounding, extent: int) -> NDArray[np.int64]:
    match rounding:
        case Rounding.PREFER_FLOOR:
            index = np.ceil(x - 0.5)
        case Rounding.PREFER_CEIL:
            index = np.floor(x + 0.5)
        case Rounding.FLOOR:
            index = np.floor(x)
        case Rounding.CEIL:
            index = np.ceil(x)
    return np.clip(index, 0, extent - 1).astype(np.int64)


def _hat(t: _Floats) -> _Floats:
    return np.maximum(1 - t, 0)


def _keys(t: _Floats, a: float) -> _Floats:
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((t - 5) * t + 8) * t * a - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _weighted(y: Array, matrix: _Floats, axis: int) -> Array:
    product = np.tensordot(y, matrix.astype(y.dtype), axes=(axis, 1))
    return np.moveaxis(product, -1, axis)


def _set_outside(y: Array, axis: int, outside: NDArray[np.bool_], value: float) -> None:
    np.moveaxis(y, axis, 0)[outside] = value
