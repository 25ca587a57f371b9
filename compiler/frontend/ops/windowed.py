"""Pooling of whole tensors, in all forms that ONNX has."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.pooling import AveragePool, LpPool, MaxPool, MaxPoolIndices
from ..conversion import Conversion
from ..registry import Form, Result, converts
from .windows import explicit_pads, kernel_shape, spatial_rank, window_ints

_Geometry = tuple[
    tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], bool
]  # kernel, strides, pads, dilations, ceil


def _geometry(conversion: Conversion) -> _Geometry:
    x = conversion.type(0)
    rank = x.rank - 2
    kernel = kernel_shape(conversion, rank)
    strides = window_ints(conversion, "strides", rank)
    dilations = window_ints(conversion, "dilations", rank)
    pads = explicit_pads(conversion, x, kernel, strides, dilations)
    return kernel, strides, pads, dilations, bool(conversion.integer("ceil_mode", 0))


@converts("MaxPool", form=Form.WHOLE, constraints=(spatial_rank,))
def max_pool(conversion: Conversion) -> list[Result]:
    """Maximum of each window, and where it is."""
    x, geometry = conversion.value(0), _geometry(conversion)
    column_major = bool(conversion.integer("storage_order", 0))
    results: list[Result] = [conversion.emit(MaxPool(*geometry), x)]
    if conversion.wants(1):
        places = MaxPoolIndices(*geometry, column_major)
        results.append(conversion.emit(places, x, step="indices"))
    return results


@converts("AveragePool", form=Form.WHOLE, constraints=(spatial_rank,))
def average_pool(conversion: Conversion) -> Value:
    """Mean of each window."""
    kernel, strides, pads, dilations, ceil = _geometry(conversion)
    include = bool(conversion.integer("count_include_pad", 0))
    op = AveragePool(kernel, strides, pads, ceil, include, dilations)
    return conversion.emit(op, conversion.value(0))


@converts("LpPool", form=Form.WHOLE, constraints=(spatial_rank,))
def lp_pool(conversion: Conversion) -> Value:
    """Norm of each window."""
    op = LpPool(*_geometry(conversion), conversion.integer("p", 2))
    return conversion.emit(op, conversion.value(0))


@converts("GlobalLpPool", form=Form.WHOLE, constraints=(spatial_rank,))
def global_lp_pool(conversion: Conversion) -> Value:
    """Norm of each channel."""
    x = conversion.value(0)
    rank = x.type.rank - 2
    ones, zeros = (1,) * rank, (0,) * 2 * rank
    op = LpPool(x.type.shape[2:], ones, zeros, ones, False, conversion.integer("p", 2))
    return conversion.emit(op, x)
