"""ConvTranspose and Col2Im."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.transposed import Col2Im, ConvTranspose
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from .rules import chosen
from .windows import spatial_rank, window_ints


@converts("ConvTranspose", form=Form.WHOLE, constraints=(spatial_rank,))
def conv_transpose(conversion: Conversion) -> Value:
    """Transposed convolution; `auto_pad` and `output_shape` become explicit padding."""
    x, w = conversion.value(0), conversion.value(1)
    kernel = w.type.shape[2:]
    if conversion.ints("kernel_shape") not in (None, kernel) or w.type.rank != x.type.rank:
        raise Rejection("IMC0209", f"ConvTranspose has weights of shape {list(w.type.shape)}")
    rank = len(kernel)
    strides = window_ints(conversion, "strides", rank)
    dilations = window_ints(conversion, "dilations", rank)
    extra = window_ints(conversion, "output_padding", rank, 0)
    whole = tuple(
        stride * (extent - 1) + (k - 1) * dilation + 1 + add
        for stride, extent, k, dilation, add in zip(
            strides, x.type.shape[2:], kernel, dilations, extra, strict=True
        )
    )
    pads, missing = _padding(conversion, whole, x.type.shape[2:], strides)
    extra = tuple(add + short for add, short in zip(extra, missing, strict=True))
    op = ConvTranspose(strides, pads, dilations, extra, conversion.integer("group", 1))
    operands = [x, w, *([conversion.value(2)] if conversion.has(2) else [])]
    return conversion.emit(op, *operands)


@converts("Col2Im", constants=(1, 2), form=Form.WHOLE)
def col2im(conversion: Conversion) -> Value:
    """Sum of overlapping columns; the extents of image and block are constant."""
    image = conversion.integers(1, "extents of the image")
    kernel = conversion.integers(2, "extents of the block")
    if len(image) != len(kernel):
        raise Rejection("IMC0209", "Col2Im has an image and a block of different ranks")
    rank = len(kernel)
    strides = window_ints(conversion, "strides", rank)
    dilations = window_ints(conversion, "dilations", rank)
    pads = conversion.ints("pads") or (0,) * 2 * rank
    return conversion.emit(Col2Im(image, kernel, strides, pads, dilations), conversion.value(0))


def _padding(
    conversion: Conversion,
    whole: tuple[int, ...],
    extents: tuple[int, ...],
    strides: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding to cut off, and elements missing at the end; `whole` are extents without padding."""
    rank = len(whole)
    upper = chosen(
        conversion,
        "auto_pad",
        "NOTSET",
        {"NOTSET": None, "VALID": None, "SAME_UPPER": True, "SAME_LOWER": False},
    )
    pads = conversion.ints("pads") or (0,) * 2 * rank
    target = conversion.ints("output_shape")
    if target is None and upper is None:
        return pads, (0,) * rank
    if target is None:
        target = tuple(extent * stride for extent, stride in zip(extents, strides, strict=True))
    if len(target) != rank:
        raise Rejection("IMC0209", f"output_shape of ConvTranspose is {list(target)}")
    totals = [max(extent - wanted, 0) for extent, wanted in zip(whole, target, strict=True)]
    missing = tuple(max(w - extent, 0) for extent, w in zip(whole, target, strict=True))
    smaller = tuple(total // 2 for total in totals)
    larger = tuple(total - total // 2 for total in totals)
    return (smaller + larger if upper else larger + smaller), missing
