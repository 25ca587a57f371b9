"""MaxUnpool and CenterCropPad."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.shape import Pad, Slice
from ...ir.ops.unpooling import MaxUnpool
from ..conversion import Conversion, Rejection, normal_axis
from ..registry import Form, Result, converts
from .windows import kernel_shape, spatial_rank, window_ints


@converts("MaxUnpool", constants=(2,), form=Form.WHOLE, constraints=(spatial_rank,))
def max_unpool(conversion: Conversion) -> Value:
    """Elements put back to where they were; a given output shape must be constant."""
    x = conversion.value(0)
    rank = x.type.rank - 2
    kernel = kernel_shape(conversion, rank)
    strides = window_ints(conversion, "strides", rank)
    pads = conversion.ints("pads") or (0,) * 2 * rank
    if len(pads) != 2 * rank:
        raise Rejection("IMC0209", f"MaxUnpool needs {2 * rank} pads")
    pooled = tuple(
        (extent - 1) * strides[axis] + kernel[axis] - pads[axis] - pads[axis + rank]
        for axis, extent in enumerate(x.type.shape[2:])
    )
    extents = conversion.integers(2, "output shape")[2:] if conversion.has(2) else pooled
    return conversion.emit(MaxUnpool(pooled, extents), x, conversion.value(1))


@converts("CenterCropPad", constants=(1,), form=Form.WHOLE)
def center_crop_pad(conversion: Conversion) -> Result:
    """A slice, then zeros around; the shape must be constant."""
    x = conversion.value(0)
    rank, shape = x.type.rank, x.type.shape
    given = conversion.ints("axes")
    axes = tuple(range(rank)) if given is None else given
    target = conversion.integers(1, "shape")
    if len(axes) != len(target) or min(target, default=0) < 0:
        raise Rejection("IMC0209", f"CenterCropPad has {len(target)} extents for {len(axes)} axes")
    wanted = list(shape)
    for axis, extent in zip(axes, target, strict=True):
        wanted[normal_axis(conversion, axis, rank)] = extent
    starts = tuple(max(e - w, 0) // 2 for e, w in zip(shape, wanted, strict=True))
    sizes = tuple(min(e, w) for e, w in zip(shape, wanted, strict=True))
    ends = tuple(start + size for start, size in zip(starts, sizes, strict=True))
    before = tuple((w - size) // 2 for w, size in zip(wanted, sizes, strict=True))
    after = tuple(w - s - b for w, s, b in zip(wanted, sizes, before, strict=True))
    cropped = conversion.emit(Slice(starts, ends, (1,) * rank), x, step="cropped")
    return conversion.emit(Pad(before, after, 0.0), cropped)
