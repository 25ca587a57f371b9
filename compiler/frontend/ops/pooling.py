"""Pooling, and means over spatial axes."""

from __future__ import annotations

from math import prod

from ...ir.graph import Value
from ...ir.ops.pooling import AveragePool, GlobalAveragePool, MaxPool
from ...ir.ops.shape import Reshape, Transpose
from ..conversion import Conversion, Rejection, normal_axes
from ..registry import Form, converts
from .windows import explicit_pads, kernel_shape, spatial_rank, window_ints


def row_major(conversion: Conversion) -> str | None:
    """Attribute storage_order is 0."""
    return "in column-major order" if conversion.integer("storage_order", 0) else None


def keeps_batch(conversion: Conversion) -> str | None:
    """The mean is taken over named axes other than the batch axis."""
    axes, identity = _axes(conversion), conversion.integer("noop_with_empty_axes", 0)
    if not axes:
        return None if identity else "over all axes"
    return "over axis 0" if 0 in normal_axes(conversion, axes, conversion.type(0).rank) else None


@converts("MaxPool", constraints=(spatial_rank, row_major))
def max_pool(conversion: Conversion) -> Value:
    """Maximum of each window."""
    x = conversion.value(0)
    rank = x.type.rank - 2
    kernel = kernel_shape(conversion, rank)
    strides = window_ints(conversion, "strides", rank)
    dilations = window_ints(conversion, "dilations", rank)
    pads = explicit_pads(conversion, x.type, kernel, strides, dilations)
    ceil = bool(conversion.integer("ceil_mode", 0))
    return conversion.emit(MaxPool(kernel, strides, pads, dilations, ceil), x)


@converts("AveragePool", form=Form.SHARED, constraints=(spatial_rank,))
def average_pool(conversion: Conversion) -> Value:
    """Mean of each window; a window that is the whole input becomes the global mean."""
    x = conversion.value(0)
    rank = x.type.rank - 2
    kernel = kernel_shape(conversion, rank)
    strides = window_ints(conversion, "strides", rank)
    dilations = window_ints(conversion, "dilations", rank)
    pads = explicit_pads(conversion, x.type, kernel, strides, dilations)
    ceil = bool(conversion.integer("ceil_mode", 0))
    include = bool(conversion.integer("count_include_pad", 0))
    if kernel == x.type.shape[2:] and not any(pads):
        return conversion.emit(GlobalAveragePool(), x)
    gaps = dilations if set(dilations) != {1} else None
    return conversion.emit(AveragePool(kernel, strides, pads, ceil, include, gaps), x)


@converts("GlobalAveragePool", constraints=(spatial_rank,), form=Form.BOTH)
def global_average_pool(conversion: Conversion) -> Value:
    """Mean over all spatial axes."""
    return conversion.emit(GlobalAveragePool(), conversion.value(0))


@converts("GlobalMaxPool", constraints=(spatial_rank,), form=Form.BOTH)
def global_max_pool(conversion: Conversion) -> Value:
    """A maximum whose window is the whole input."""
    x = conversion.value(0)
    rank = x.type.rank - 2
    ones = (1,) * rank
    return conversion.emit(MaxPool(x.type.shape[2:], ones, (0,) * 2 * rank, ones), x)


@converts("ReduceMean", constraints=(keeps_batch,))
def reduce_mean(conversion: Conversion) -> Value:
    """Mean over any axes but the batch: they are moved last, and a global mean is taken."""
    x = conversion.value(0)
    rank = x.type.rank
    keep = bool(conversion.integer("keepdims", 1))
    axes = normal_axes(conversion, _axes(conversion), rank)
    if not axes:
        return x
    shape = tuple(
        1 if axis in axes else extent
        for axis, extent in enumerate(x.type.shape)
        if keep or axis not in axes
    )
    if axes == tuple(range(2, rank)) and rank <= 5:
        return _mean(conversion, x, shape)
    kept = [axis for axis in range(1, rank) if axis not in axes]
    perm = (0, *kept, *axes)
    if perm != tuple(range(rank)):
        x = conversion.emit(Transpose(perm), x, step="turned")
    channels = prod(x.type.shape[1 : 1 + len(kept)])
    flat = (1, channels, prod(x.type.shape[1 + len(kept) :]))
    return _mean(conversion, conversion.emit(Reshape(flat), x, step="flat"), shape)


def _mean(conversion: Conversion, x: Value, shape: tuple[int, ...]) -> Value:
    """Global mean of ``[1, C, ...]`` under the final shape."""
    if shape == (*x.type.shape[:2], *([1] * (x.type.rank - 2))):
        return conversion.emit(GlobalAveragePool(), x)
    mean = conversion.emit(GlobalAveragePool(), x, step="mean")
    return conversion.emit(Reshape(shape), mean)


def _axes(conversion: Conversion) -> tuple[int, ...]:
    by_attribute = conversion.ints("axes")
    if by_attribute is not None and conversion.has(1):
        raise Rejection("IMC0210", "ReduceMean has axes twice")
    if conversion.has(1):
        return conversion.integers(1, "axes")
    return by_attribute or ()
