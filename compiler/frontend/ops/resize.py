"""Resize and its forerunner Upsample: scales or sizes become extents of single axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Value
from ...ir.ops.resize import Coordinates, Interpolation, Resize, ResizedAxis, Rounding
from ..conversion import Conversion, Rejection, normal_axis
from ..registry import Form, converts
from .rules import chosen, floats

_MODES = {
    "nearest": Interpolation.NEAREST,
    "linear": Interpolation.LINEAR,
    "cubic": Interpolation.CUBIC,
}
_OLD_MODES = {
    "nearest": Interpolation.NEAREST,
    "linear": Interpolation.LINEAR,
    "bilinear": Interpolation.LINEAR,
}
_COORDINATES = {
    "half_pixel": Coordinates.HALF_PIXEL,
    "half_pixel_symmetric": Coordinates.HALF_PIXEL_SYMMETRIC,
    "pytorch_half_pixel": Coordinates.PYTORCH_HALF_PIXEL,
    "align_corners": Coordinates.ALIGN_CORNERS,
    "asymmetric": Coordinates.ASYMMETRIC,
    "tf_crop_and_resize": Coordinates.CROP,
}
_ROUNDINGS = {
    "round_prefer_floor": Rounding.PREFER_FLOOR,
    "round_prefer_ceil": Rounding.PREFER_CEIL,
    "floor": Rounding.FLOOR,
    "ceil": Rounding.CEIL,
}


@dataclass(frozen=True)
class _Size:
    """New extent and scale of one axis."""

    extent: int
    scale: float


@converts("Resize", since=11, constants=(1, 2, 3), form=Form.WHOLE)
def resize(conversion: Conversion) -> Value:
    """Resampling; scales, sizes and the region must be constant."""
    x = conversion.value(0)
    interpolation = chosen(conversion, "mode", "nearest", _MODES)
    kind = chosen(conversion, "coordinate_transformation_mode", "half_pixel", _COORDINATES)
    sizes = _sizes(conversion, x)
    regions = _regions(conversion, x, kind)
    axes = [
        ResizedAxis(axis, size.extent, size.scale, *regions.get(axis, (0.0, 1.0)))
        for axis, size in sorted(sizes.items())
        if size.extent != x.type.shape[axis]
        or size.scale != 1
        or regions.get(axis, (0.0, 1.0)) != (0.0, 1.0)
    ]
    op = Resize(
        tuple(axes),
        interpolation,
        kind,
        chosen(conversion, "nearest_mode", "round_prefer_floor", _ROUNDINGS),
        conversion.real("cubic_coeff_a", -0.75),
        bool(conversion.integer("exclude_outside", 0)),
        bool(conversion.integer("antialias", 0)),
        conversion.real("extrapolation_value", 0.0),
    )
    return conversion.emit(op, x)


@converts("Resize", since=10, constants=(1,), form=Form.WHOLE)
@converts("Upsample", since=7, constants=(1,), form=Form.WHOLE)
def resize_by_scales(conversion: Conversion) -> Value:
    """The old form: scales only, index divided by scale."""
    x = conversion.value(0)
    interpolation = chosen(conversion, "mode", "nearest", _OLD_MODES)
    given = floats(conversion, "scales")
    if conversion.has(1):
        given = tuple(float(scale) for scale in conversion.floats(1, "scales").reshape(-1))
    sizes = _scaled(conversion, x, dict(enumerate(given)))
    if len(given) != x.type.rank:
        raise Rejection("IMC0209", f"{conversion.node.op_type} needs {x.type.rank} scales")
    smaller = {size.scale < 1 for size in sizes.values() if size.scale != 1}
    if len(smaller) > 1 and interpolation is Interpolation.NEAREST:
        raise conversion.reject("with scales above and below 1", "scales are all of one kind")
    axes = [
        ResizedAxis(axis, size.extent, size.scale)
        for axis, size in sizes.items()
        if size.scale != 1
    ]
    # onnxruntime rounds up where such an operator makes the input smaller
    rounding = Rounding.CEIL if True in smaller else Rounding.FLOOR
    return conversion.emit(Resize(tuple(axes), interpolation, Coordinates.ASYMMETRIC, rounding), x)


def _sizes(conversion: Conversion, x: Value) -> dict[int, _Size]:
    """The new size of each axis that is named."""
    axes = _axes(conversion, x)
    by_size = conversion.has(3)
    scales = conversion.floats(2, "scales").reshape(-1) if conversion.has(2) else np.zeros(0)
    if by_size == (scales.size > 0):
        raise Rejection("IMC0210", "Resize needs either scales or sizes")
    given = conversion.integers(3, "sizes") if by_size else tuple(float(s) for s in scales)
    if len(given) != len(axes):
        raise Rejection("IMC0209", f"Resize has {len(given)} scales or sizes for {len(axes)} axes")
    if not by_size:
        conversion.ignore("keep_aspect_ratio_policy")
        return _scaled(conversion, x, dict(zip(axes, given, strict=True)))
    wanted = dict(zip(axes, (int(size) for size in given), strict=True))
    return _fitted(conversion, x, wanted)


def _scaled(conversion: Conversion, x: Value, scales: Mapping[int, float]) -> dict[int, _Size]:
    """Extents are cut down to whole numbers, from a product in float32."""
    if any(not np.isfinite(scale) or scale <= 0 for scale in scales.values()):
        raise Rejection("IMC0209", f"{conversion.node.op_type} has a scale that is not positive")
    shape = (*x.type.shape, *(1,) * len(scales))
    return {
        axis: _Size(int(np.float32(scale) * np.float32(shape[axis])), scale)
        for axis, scale in scales.items()
    }


def _fitted(conversion: Conversion, x: Value, wanted: Mapping[int, int]) -> dict[int, _Size]:
    """Sizes as given, or one scale for all axes that keeps their ratio."""
    policy = chosen(
        conversion,
        "keep_aspect_ratio_policy",
        "stretch",
        {"stretch": None, "not_larger": min, "not_smaller": max},
    )
    scales = {axis: size / x.type.shape[axis] for axis, size in wanted.items()}
    if policy is None or not scales:
        return {axis: _Size(size, scales[axis]) for axis, size in wanted.items()}
    scale = policy(scales.values())
    return {axis: _Size(int(scale * x.type.shape[axis] + 0.5), scale) for axis in wanted}


def _regions(conversion: Conversion, x: Value, kind: Coordinates) -> dict[int, tuple[float, float]]:
    """Begin and end of each axis for cropping."""
    if not conversion.has(1) or kind is not Coordinates.CROP:
        return {}
    axes = _axes(conversion, x)
    region = conversion.floats(1, "the region").reshape(-1)
    if region.size != 2 * len(axes):
        raise Rejection("IMC0209", f"Resize needs {2 * len(axes)} bounds of the region")
    bounds = region.reshape(2, -1).T
    return {axis: (float(b), float(e)) for axis, (b, e) in zip(axes, bounds, strict=True)}


def _axes(conversion: Conversion, x: Value) -> tuple[int, ...]:
    given = conversion.ints("axes")
    if given is None:
        return tuple(range(x.type.rank))
    return tuple(normal_axis(conversion, axis, x.type.rank) for axis in given)
