"""AffineGrid, GridSample, RoiAlign and DeformConv."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.ops.resize import Interpolation
from ...ir.ops.sampling import AffineGrid, Border, DeformConv, GridSample, RegionMode, RoiAlign
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from .rules import chosen
from .windows import explicit_pads, spatial_rank, window_ints

_MODES = {
    "linear": Interpolation.LINEAR,
    "bilinear": Interpolation.LINEAR,
    "nearest": Interpolation.NEAREST,
    "cubic": Interpolation.CUBIC,
    "bicubic": Interpolation.CUBIC,
}
_BORDERS = {"zeros": Border.ZEROS, "border": Border.EDGE, "reflection": Border.REFLECTION}


def region_counts(conversion: Conversion) -> str | None:
    """Maxima over regions follow the operator set from 16 on."""
    old = conversion.node.opset < 16 and conversion.text("mode", "avg") == "max"
    return "in mode 'max'" if old else None


@converts("AffineGrid", constants=(1,), form=Form.WHOLE)
def affine_grid(conversion: Conversion) -> Value:
    """A grid of coordinates; its size must be constant."""
    size = conversion.integers(1, "size")
    op = AffineGrid(size[2:], bool(conversion.integer("align_corners", 0)))
    theta = conversion.value(0)
    if size[:1] != theta.type.shape[:1]:
        raise Rejection("IMC0209", f"AffineGrid has size {list(size)} for {theta.type.shape}")
    return conversion.emit(op, theta)


@converts("GridSample", form=Form.WHOLE)
def grid_sample(conversion: Conversion) -> Value:
    """Values at the places of a grid."""
    op = GridSample(
        chosen(conversion, "mode", "linear", _MODES),
        chosen(conversion, "padding_mode", "zeros", _BORDERS),
        bool(conversion.integer("align_corners", 0)),
    )
    return conversion.emit(op, conversion.value(0), conversion.value(1))


@converts("RoiAlign", form=Form.WHOLE, constraints=(region_counts,))
def roi_align(conversion: Conversion) -> Value:
    """Regions of feature maps; before operator set 16 not shifted by half an element."""
    default = "half_pixel" if conversion.node.opset >= 16 else "output_half_pixel"
    op = RoiAlign(
        (conversion.integer("output_height", 1), conversion.integer("output_width", 1)),
        conversion.real("spatial_scale", 1.0),
        conversion.integer("sampling_ratio", 0),
        chosen(conversion, "mode", "avg", {"avg": RegionMode.MEAN, "max": RegionMode.MAX}),
        chosen(
            conversion,
            "coordinate_transformation_mode",
            default,
            {"half_pixel": True, "output_half_pixel": False},
        ),
    )
    return conversion.emit(op, *(conversion.value(index) for index in range(3)))


@converts("DeformConv", form=Form.WHOLE, constraints=(spatial_rank,))
def deform_conv(conversion: Conversion) -> Value:
    """Convolution with moved kernel elements."""
    operands = [conversion.value(index) for index in range(3)]
    x, w = operands[0].type, operands[1].type
    kernel = w.shape[2:]
    if conversion.ints("kernel_shape") not in (None, kernel) or len(kernel) != 2:
        raise conversion.reject(f"with weights {list(w.shape)}", "the kernel has two axes")
    strides = window_ints(conversion, "strides", 2)
    dilations = window_ints(conversion, "dilations", 2)
    pads = explicit_pads(conversion, x, kernel, strides, dilations)
    if conversion.has(3):
        operands.append(conversion.value(3))
    elif conversion.has(4):
        bias = np.zeros(w.shape[0], np.float32)
        operands.append(conversion.constant(bias, f"{conversion.node.label}/bias"))
    if conversion.has(4):
        operands.append(conversion.value(4))
    groups = (conversion.integer("group", 1), conversion.integer("offset_group", 1))
    return conversion.emit(DeformConv(strides, pads, dilations, *groups), *operands)
